/** Package sets in a local folder, and in a channel of nixpkgs. */
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { ObservedNix } from '../support/observed-nix.ts'
import { PackageSet } from '../support/package-set.ts'
import { failedRequest, imageDigest } from '../support/pull.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { WebServer } from '../support/web-server.ts'

/** Returns settings for a folder with the files of the example set, without git. */
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

describe('folder as the source', () => {
  test('a folder has the tag latest, and the next pull sees an edited file', async () => {
    await using workspace = await Workspace.create()
    const { folder, ...settings } = await folderSettings(workspace)
    await using slipway = await Slipway.start(settings)
    expect(await (await slipway.fetch('/v2/jq/tags/list')).json()).toEqual({
      name: 'jq',
      tags: ['latest'],
    })
    const before = await imageDigest(slipway, 'custom-service')
    await writeFile(join(folder, 'custom-service/version'), '9.9\n')
    // Requests within a second share one evaluation.
    await expect
      .poll(() => imageDigest(slipway, 'custom-service'), { timeout: 10_000 })
      .not.toBe(before)
  })

  test('an image is not built again if the new evaluation gives the same packages', async () => {
    await using workspace = await Workspace.create()
    const { folder, ...settings } = await folderSettings(workspace)
    const nix = await ObservedNix.create(join(workspace.folder, 'nix'))
    await using slipway = await Slipway.start({ ...settings, PATH: nix.path })
    const digest = await imageDigest(slipway, 'jq')
    await writeFile(join(folder, 'custom-service/version'), '9.9\n')
    const evaluations = await nix.runs('nix-instantiate')
    const pullAgain = async () => {
      expect(await imageDigest(slipway, 'jq')).toBe(digest)
      return nix.runs('nix-instantiate')
    }
    await expect.poll(pullAgain, { timeout: 10_000 }).toBeGreaterThan(evaluations)
    expect(slipway.logged('image built')).toHaveLength(1)
  })

  test('other tags of a folder are unknown, and the failure names latest', async () => {
    await using workspace = await Workspace.create()
    const { folder, ...settings } = await folderSettings(workspace)
    await using slipway = await Slipway.start(settings)
    expect(await failedRequest(slipway, '/v2/jq/manifests/release-v1')).toMatchObject({
      status: 404,
      message: expect.stringContaining('the tag "latest" only'),
    })
  })

  test('the start fails if the folder contains no package set', async () => {
    await using workspace = await Workspace.create()
    const { NIXERY_PKGS_REPO, ...settings } = workspace.settings('')
    const { code, stderr } = await Slipway.fail({ ...settings, NIXERY_PKGS_PATH: workspace.folder })
    expect(code).toBe(1)
    expect(stderr).toContain('must be a folder with a default.nix in it')
  })
})

describe('channel as the source', () => {
  /** Starts a channel server whose nixpkgs is the example package set. */
  async function channelServer(packages: PackageSet): Promise<WebServer> {
    const server = await WebServer.start()
    const commit = await packages.git('rev-parse', 'main')
    server.serve('/nixos-24.11', `${commit}\n`)
    const tarball = join(packages.folder, '.git/nixpkgs.tar.gz')
    await packages.git('archive', '--prefix=nixpkgs-1/', '--output', tarball, 'main')
    server.serve(`/${commit}.tar.gz`, await readFile(tarball))
    return server
  }

  function channelSettings(workspace: Workspace, url: string): Record<string, string> {
    const { NIXERY_PKGS_REPO, ...settings } = workspace.settings('')
    return {
      ...settings,
      NIXERY_CHANNEL: 'nixos-24.11',
      SLIPWAY_CHANNEL_URL: `${url}/{channel}`,
      SLIPWAY_NIXPKGS_URL: `${url}/{commit}.tar.gz`,
      SLIPWAY_NIXPKGS_COMPARE_URL: 'none',
    }
  }

  test('a channel serves the images of its commit, also after a restart without the channel server', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    const server = await channelServer(packages)
    const settings = channelSettings(workspace, server.url)
    {
      await using slipway = await Slipway.start(settings)
      const digest = await imageDigest(slipway, 'jq')
      for (const tag of ['nixos-24.11', await packages.git('rev-parse', 'main')]) {
        const response = await slipway.fetch(`/v2/jq/manifests/${tag}`)
        expect(response.headers.get('Docker-Content-Digest')).toBe(digest)
        await response.text()
      }
      expect(await failedRequest(slipway, '/v2/jq/manifests/nixos-1.0')).toMatchObject({
        status: 404,
        message: expect.stringContaining('nixos-24.11'),
      })
    }
    await server[Symbol.asyncDispose]()
    await using slipway = await Slipway.start(settings)
    await imageDigest(slipway, 'jq')
    // The new image needs the downloaded tree of the commit.
    await imageDigest(slipway, 'hello')
  })

  test('the first start fails if the channel server cannot be reached', async () => {
    await using workspace = await Workspace.create()
    const { code, stderr } = await Slipway.fail(channelSettings(workspace, 'http://127.0.0.1:1'))
    expect(code).toBe(1)
    expect(stderr).toContain('127.0.0.1:1')
  })
})

describe('popularity data', () => {
  async function startWith(
    workspace: Workspace,
    packages: PackageSet,
    popularity: string,
  ): Promise<Slipway> {
    const file = join(workspace.folder, 'popularity.json')
    await writeFile(file, popularity)
    return Slipway.start({
      ...workspace.settings(packages.folder),
      NIX_POPULARITY_URL: pathToFileURL(file).href,
    })
  }

  test('the version of the popularity data is recorded in the plan', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using slipway = await startWith(workspace, packages, '{"glibc": 5000, "jq": 10}')
    await imageDigest(slipway, 'jq')
    const [plan = ''] = await readdir(join(workspace.storage, 'plans'))
    const { knowledge } = JSON.parse(await readFile(join(workspace.storage, 'plans', plan), 'utf8'))
    expect(knowledge).toMatch(/^[0-9a-f]{64}$/)
  })

  test('with malformed popularity data images are built, and a warning names NIX_POPULARITY_URL', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using slipway = await startWith(workspace, packages, '{"glibc": "often"}')
    await imageDigest(slipway, 'jq')
    expect(
      slipway.log.some(({ level, msg }) => level === 40 && msg.includes('NIX_POPULARITY_URL')),
    ).toBe(true)
  })
})
