/** The package set in a local folder, and as a channel of nixpkgs. */
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { WebServer } from '../support/web-server.ts'

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

describe('a channel as the source', () => {
  /** A server of channels whose nixpkgs is the example package set. */
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

  test('gives the images that its commit gives, and goes on when the server is gone', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    const server = await channelServer(packages)
    const settings = channelSettings(workspace, server.url)
    {
      await using slipway = await Slipway.start(settings)
      const digest = await digestOf(slipway, 'jq')
      for (const tag of ['nixos-24.11', await packages.git('rev-parse', 'main')]) {
        const response = await slipway.fetch(`/v2/jq/manifests/${tag}`)
        expect(response.headers.get('Docker-Content-Digest')).toBe(digest)
        await response.text()
      }
      const unknown = await slipway.fetch('/v2/jq/manifests/nixos-1.0')
      expect(unknown.status).toBe(404)
      expect(await unknown.text()).toContain('nixos-24.11')
    }
    await server[Symbol.asyncDispose]()
    await using slipway = await Slipway.start(settings)
    await digestOf(slipway, 'jq')
    // Its tree is still there, too.
    await digestOf(slipway, 'hello')
  })

  test('that cannot be reached at the first start ends the service with the reason', async () => {
    await using workspace = await Workspace.create()
    const { code, stderr } = await Slipway.fail(channelSettings(workspace, 'http://127.0.0.1:1'))
    expect(code).toBe(1)
    expect(stderr).toContain('127.0.0.1:1')
  })
})

describe('popularity data', () => {
  test('is part of what the plan remembers', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    const file = join(workspace.folder, 'popularity.json')
    await writeFile(file, '{"glibc": 5000, "jq": 10}')
    await using slipway = await Slipway.start({
      ...workspace.settings(packages.folder),
      NIX_POPULARITY_URL: pathToFileURL(file).href,
    })
    await digestOf(slipway, 'jq')
    const [plan = ''] = await readdir(join(workspace.storage, 'plans'))
    const { knowledge } = JSON.parse(await readFile(join(workspace.storage, 'plans', plan), 'utf8'))
    expect(knowledge).toMatch(/^[0-9a-f]{64}$/)
  })

  test('that is malformed does not keep the service from working', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    const file = join(workspace.folder, 'popularity.json')
    await writeFile(file, '{"glibc": "often"}')
    await using slipway = await Slipway.start({
      ...workspace.settings(packages.folder),
      NIX_POPULARITY_URL: pathToFileURL(file).href,
    })
    await digestOf(slipway, 'jq')
    expect(
      slipway.log.some(({ level, msg }) => level === 40 && msg.includes('NIX_POPULARITY_URL')),
    ).toBe(true)
  })
})
