/** Images for another platform than the machine's. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'

let packages: PackageSet
beforeAll(async () => {
  packages = await PackageSet.create()
  await packages.commit(
    'arm/default.nix',
    `# Wants to be built on arm64, with nothing but the shell.
{ system }: derivation { name = "arm-thing"; inherit system; builder = "/bin/sh"; args = [ "-c" "echo arm >$out; exit 0" ]; }
`,
  )
  await packages.replace(
    'default.nix',
    '  custom-service =',
    '  armThing = import ./arm { inherit system; };\n  custom-service =',
  )
})
afterAll(() => packages?.[Symbol.asyncDispose]())

/** The image config that a tag leads to. */
async function configOf(slipway: Slipway, image: string) {
  const response = await slipway.fetch(`/v2/${image}/manifests/latest`)
  const manifest = (await response.json()) as { config: { digest: string } }
  expect(response.status, JSON.stringify(manifest)).toBe(200)
  const config = await slipway.fetch(`/v2/${image}/blobs/${manifest.config.digest}`)
  return (await config.json()) as { architecture: string; os: string }
}

describe('an image for arm64', () => {
  test.each(['arm64/static-site', 'static-site/arm64'])(
    '%s says so in its config',
    async (image) => {
      await using workspace = await Workspace.create()
      await using slipway = await Slipway.start(workspace.settings(packages.folder))
      expect(await configOf(slipway, image)).toMatchObject({ os: 'linux', architecture: 'arm64' })
      expect(await configOf(slipway, 'static-site')).toMatchObject({ architecture: 'amd64' })
    },
  )

  test('is built where Nix has that platform', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start({
      ...workspace.settings(packages.folder),
      NIX_CONFIG: `${process.env.NIX_CONFIG}\nextra-platforms = aarch64-linux`,
    })
    expect(await configOf(slipway, 'arm64/armthing')).toMatchObject({ architecture: 'arm64' })
  })

  test('that nothing here can build says which system it wants and what there is', async () => {
    await using workspace = await Workspace.create()
    // Another salt: what an earlier run built needs no builder.
    await packages.replace('arm/default.nix', 'echo arm', `echo arm-${process.pid}-${Date.now()}`)
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const response = await slipway.fetch('/v2/arm64/armthing/manifests/latest')
    expect(response.status).toBe(422)
    const { errors } = (await response.json()) as { errors: { message: string }[] }
    expect(errors[0]?.message).toMatch(
      /^package armthing is built on aarch64-linux.*builds for x86_64-linux.*remote builders are: none/,
    )
  })
})
