/** The package set in a local folder. */
import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'

async function digestOf(slipway: Slipway, image: string): Promise<string | null> {
  const response = await slipway.fetch(`/v2/${image}/manifests/latest`)
  expect(response.status, await response.clone().text()).toBe(200)
  return response.headers.get('Docker-Content-Digest')
}

/** Settings for a folder of files, which is the work tree of the example without its history. */
async function folderSettings(
  workspace: Workspace,
): Promise<Record<string, string> & { folder: string }> {
  await using packages = await PackageSet.create()
  const folder = join(workspace.folder, 'packages')
  await cp(packages.folder, folder, { recursive: true })
  await rm(join(folder, '.git'), { recursive: true })
  const { NIXERY_PKGS_REPO, ...settings } = workspace.settings('')
  return { ...settings, NIXERY_PKGS_PATH: folder, folder }
}

describe('a folder as the source', () => {
  test('has the tag latest, and an edited file is seen at the next pull', async () => {
    await using workspace = await Workspace.create()
    const { folder, ...settings } = await folderSettings(workspace)
    await using slipway = await Slipway.start(settings)
    expect(await (await slipway.fetch('/v2/jq/tags/list')).json()).toEqual({
      name: 'jq',
      tags: ['latest'],
    })
    const before = await digestOf(slipway, 'custom-service')
    await writeFile(join(folder, 'custom-service/version'), '9.9\n')
    // An evaluation is good for a second: the requests of one pull share it.
    await expect
      .poll(() => digestOf(slipway, 'custom-service'), { timeout: 10_000 })
      .not.toBe(before)
  })

  test('is cached by what it evaluates to', async () => {
    await using workspace = await Workspace.create()
    const { folder, ...settings } = await folderSettings(workspace)
    await using slipway = await Slipway.start(settings)
    const digest = await digestOf(slipway, 'jq')
    await writeFile(join(folder, 'custom-service/version'), '9.9\n')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect(await digestOf(slipway, 'jq')).toBe(digest)
    expect(slipway.logged('image built')).toHaveLength(1)
  })

  test('has no other tags, and says so', async () => {
    await using workspace = await Workspace.create()
    const { folder, ...settings } = await folderSettings(workspace)
    await using slipway = await Slipway.start(settings)
    const response = await slipway.fetch('/v2/jq/manifests/release-v1')
    expect(response.status).toBe(404)
    expect(await response.text()).toContain('the tag \\"latest\\" only')
  })

  test('that holds no package set ends the service with the reason', async () => {
    await using workspace = await Workspace.create()
    const { NIXERY_PKGS_REPO, ...settings } = workspace.settings('')
    const { code, stderr } = await Slipway.fail({ ...settings, NIXERY_PKGS_PATH: workspace.folder })
    expect(code).toBe(1)
    expect(stderr).toContain('must be a folder with a default.nix in it')
  })
})
