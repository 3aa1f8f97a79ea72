/** Images for a platform other than the machine's. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PackageSet } from '../support/package-set.ts'
import { failedRequest, pullBlob, pullManifest } from '../support/pull.ts'
import { Slipway, Workspace } from '../support/slipway.ts'

let packages: PackageSet
beforeAll(async () => {
  packages = await PackageSet.create()
  await packages.commit(
    'arm/default.nix',
    `# Needs only a shell, but on arm64.
{ system }: derivation { name = "arm-thing"; inherit system; builder = "/bin/sh"; args = [ "-c" "echo arm >$out; exit 0" ]; }
`,
  )
  await packages.addAttributes({ armThing: 'import ./arm { inherit system; }' })
})
afterAll(() => packages?.[Symbol.asyncDispose]())

/** Pulls the config of an image. */
async function configOf(slipway: Slipway, image: string) {
  const { manifest } = await pullManifest(slipway, image)
  const config = await pullBlob(slipway, image, manifest.config)
  return JSON.parse(config.toString()) as { architecture: string; os: string }
}

describe('images for arm64', () => {
  test.each(['arm64/static-site', 'static-site/arm64'])(
    'the config of %s has the architecture arm64',
    async (image) => {
      await using workspace = await Workspace.create()
      await using slipway = await Slipway.start(workspace.settings(packages.folder))
      expect(await configOf(slipway, image)).toMatchObject({ os: 'linux', architecture: 'arm64' })
      expect(await configOf(slipway, 'static-site')).toMatchObject({ architecture: 'amd64' })
    },
  )

  test('an image for arm64 is built if Nix supports that platform', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start({
      ...workspace.settings(packages.folder),
      NIX_CONFIG: `${process.env.NIX_CONFIG}\nextra-platforms = aarch64-linux`,
    })
    expect(await configOf(slipway, 'arm64/armthing')).toMatchObject({ architecture: 'arm64' })
  })

  test('without a builder for arm64 the failure names the needed system and the available builders', async () => {
    await using workspace = await Workspace.create()
    // A new derivation, because the result of an earlier run would need no builder.
    await packages.replace('arm/default.nix', 'echo arm', `echo arm-${process.pid}-${Date.now()}`)
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    expect(await failedRequest(slipway, '/v2/arm64/armthing/manifests/latest')).toMatchObject({
      status: 422,
      message: expect.stringMatching(
        /^package armthing is built on aarch64-linux.*builds for x86_64-linux.*remote builders are: none/,
      ),
    })
  })
})
