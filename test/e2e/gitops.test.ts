/** Pushed refs are prebuilt, and pulls follow what is pushed. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GitHttpServer } from '../support/git-http-server.ts'
import { HangingProxy } from '../support/hanging-proxy.ts'
import { ObservedNix } from '../support/observed-nix.ts'
import { PackageSet } from '../support/package-set.ts'
import { imageDigest } from '../support/pull.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { sendWebhook } from '../support/webhook.ts'

const secret = 'a secret between git and the registry'

/** Creates a repository whose slipway.json declares images, and adds packages of shell scripts to the set. */
async function repositoryWith(
  images: string[],
  scripts: Record<string, string> = {},
): Promise<PackageSet> {
  const packages = await PackageSet.create()
  if (Object.keys(scripts).length > 0) await packages.add(scripts)
  await packages.commit('slipway.json', JSON.stringify({ images }))
  return packages
}

function settingsOf(workspace: Workspace, packages: PackageSet): Record<string, string> {
  return {
    ...workspace.settings(packages.folder),
    SLIPWAY_WEBHOOK_SECRET: secret,
    // Prebuild only pushed refs: the tags of the example set have fixed dates.
    SLIPWAY_PREBUILD_MAX_AGE: '0',
  }
}

const built = (slipway: Slipway) => slipway.logged('image built').map(({ image }) => image)

const patient = { timeout: 60_000, interval: 100 }

describe('pushed tags', () => {
  test('a pushed tag is prebuilt after its webhook and then pulled without Nix', async () => {
    await using packages = await repositoryWith(['custom-service', 'shell/jq'])
    await using workspace = await Workspace.create()
    const nix = await ObservedNix.create(join(workspace.folder, 'nix'))
    await using slipway = await Slipway.start({
      ...settingsOf(workspace, packages),
      PATH: nix.path,
    })
    await expect.poll(() => built(slipway).length, patient).toBe(2)
    await packages.commit('custom-service/version', '3.0\n')
    await packages.git('tag', '--annotate', 'release-v3', '--message', 'Release 3')
    expect(await sendWebhook(slipway, secret, 'refs/tags/release-v3')).toBe(202)
    await expect.poll(() => built(slipway).length, patient).toBeGreaterThanOrEqual(4)
    await nix.break()
    await imageDigest(slipway, 'custom-service', 'release-v3')
    await imageDigest(slipway, 'shell/jq', 'release-v3')
    expect((await slipway.fetch('/v2/hello/manifests/release-v3')).status).toBe(503)
  })

  test('five pushed tags whose webhooks are lost are found by the timer', async () => {
    await using packages = await repositoryWith(['custom-service'])
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start({
      ...settingsOf(workspace, packages),
      SLIPWAY_POLL_INTERVAL: '1',
    })
    await expect.poll(() => built(slipway).length, patient).toBe(1)
    for (const version of [3, 4, 5, 6, 7]) {
      await packages.commit('custom-service/version', `${version}.0\n`)
      await packages.git('tag', '--annotate', `release-v${version}`, '--message', 'pushed at once')
    }
    await expect.poll(() => built(slipway).length, patient).toBe(6)
    await imageDigest(slipway, 'custom-service', 'release-v5')
  })

  test('a tag that was pushed while the service was down is prebuilt once, at the next start', async () => {
    await using packages = await repositoryWith(['custom-service'])
    await using workspace = await Workspace.create()
    const settings = {
      ...settingsOf(workspace, packages),
      SLIPWAY_PREBUILD_MAX_AGE: '36500',
      SLIPWAY_PREBUILD_POPULAR: '0',
    }
    const first = await Slipway.start(settings)
    await expect.poll(() => built(first).length, patient).toBe(1)
    await packages.commit('custom-service/version', '3.0\n')
    await packages.git('tag', '--annotate', 'release-v3', '--message', 'Release 3')
    await sendWebhook(first, secret)
    await first.stop('SIGKILL')
    const second = await Slipway.start(settings)
    const ready = async () => {
      const { status } = await second.fetch('/v2/custom-service/manifests/release-v3', {
        method: 'HEAD',
      })
      return status
    }
    await expect.poll(ready, patient).toBe(200)
    await second.stop()
    await using third = await Slipway.start(settings)
    expect(await third.untilLogged('reconciled')).toMatchObject({ missing: 0 })
    expect(built(third)).toEqual([])
  })
})

describe('releases of many images', () => {
  test('a release is evaluated in one process, and its broken images do not fail the others', async () => {
    const names = Array.from({ length: 27 }, (_, index) => `thing${index}`)
    const scripts = Object.fromEntries(names.map((name) => [name, `echo ${name} >$out`]))
    await using packages = await repositoryWith(
      [...names, 'thingbroken', 'broken-build', 'nosuchpackage'],
      { ...scripts, thingbroken: 'echo the log; exit 7' },
    )
    await using workspace = await Workspace.create()
    const nix = await ObservedNix.create(join(workspace.folder, 'nix'))
    await using slipway = await Slipway.start({
      ...settingsOf(workspace, packages),
      PATH: nix.path,
    })
    await expect.poll(() => built(slipway).length, patient).toBe(27)
    await expect.poll(() => slipway.logged('image cannot be prebuilt').length, patient).toBe(3)
    expect(await nix.runs('nix-instantiate')).toBe(1)
    // A pull gets the remembered failure without another build.
    await nix.break()
    const response = await slipway.fetch('/v2/thingbroken/manifests/latest')
    expect(response.status).toBe(422)
    expect(await response.text()).toMatch(/failed with exit code 7; the end of its log:\\nthe log/)
  })

  test('an invalid slipway.json is logged, and its commit can still be pulled', async () => {
    await using packages = await repositoryWith(['custom-service'])
    await packages.commit('slipway.json', '{"images": ["Custom Service"], "tag": []}')
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace, packages))
    const { failure } = await slipway.untilLogged('slipway.json is invalid')
    expect(failure).toMatch(/images\[0\].*tag/s)
    await imageDigest(slipway, 'custom-service', 'latest')
  })
})

describe('pulls', () => {
  test('a pull does not wait for 20 prebuilds that sleep', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `sleeper${index}`)
    const scripts = Object.fromEntries(names.map((name) => [name, 'sleep 300']))
    await using packages = await repositoryWith(names, { ...scripts, quick: 'echo quick >$out' })
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start({
      ...settingsOf(workspace, packages),
      SLIPWAY_BUILD_CONCURRENCY: '1',
    })
    await slipway.untilLogged('prebuilding')
    // The only builder of prebuilds sleeps, so this pull needs another one.
    await imageDigest(slipway, 'quick', 'latest')
    expect(built(slipway)).toEqual(['quick'])
  })

  test('a pulled image is prebuilt for the next commit', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace, packages))
    await imageDigest(slipway, 'jq', 'latest')
    await packages.commit('custom-service/version', '3.0\n')
    await sendWebhook(slipway, secret)
    await expect.poll(() => built(slipway), patient).toEqual(['jq', 'jq'])
  })
})

describe('webhooks', () => {
  test('a webhook with a wrong signature answers 401', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace, packages))
    const response = await slipway.fetch('/webhooks/generic', {
      method: 'POST',
      headers: { 'X-Signature-256': `sha256=${'0'.repeat(64)}` },
    })
    expect(response.status).toBe(401)
  })

  test('1,000 webhooks cost fewer than 100 fetches', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    const log = join(workspace.folder, 'fetches')
    const bin = join(workspace.folder, 'bin')
    await mkdir(bin)
    const counting = `#!/bin/sh\ncase "$*" in *fetch*) echo fetch >>'${log}';; esac\nPATH=\${PATH#*:} exec git "$@"\n`
    await writeFile(join(bin, 'git'), counting, { mode: 0o755 })
    await using slipway = await Slipway.start({
      ...settingsOf(workspace, packages),
      PATH: `${bin}:${process.env.PATH}`,
    })
    for (let sent = 0; sent < 1000; sent += 100) {
      const statuses = await Promise.all(
        Array.from({ length: 100 }, () => sendWebhook(slipway, secret)),
      )
      expect(new Set(statuses)).toEqual(new Set([202]))
    }
    const fetches = (await readFile(log, 'utf8')).trim().split('\n').length
    expect(fetches).toBeLessThan(100)
  })
})

/** Pulls custom-service. Returns the status and body of the response. */
async function pull(slipway: Slipway, tag: string): Promise<{ status: number; text: string }> {
  const response = await slipway.fetch(`/v2/custom-service/manifests/${tag}`)
  return { status: response.status, text: await response.text() }
}

/** Waits until a pull of custom-service is answered with a status. */
async function untilAnswered(slipway: Slipway, tag: string, status: number): Promise<void> {
  await expect.poll(async () => (await pull(slipway, tag)).status, patient).toBe(status)
}

/** Commits a new version of custom-service. @returns the commit */
const release = (packages: PackageSet, version: string) =>
  packages.commit('custom-service/version', `${version}\n`)

// One service follows one repository through these tests, in this order.
describe('refs', () => {
  let packages: PackageSet
  let workspace: Workspace
  let slipway: Slipway

  beforeAll(async () => {
    packages = await repositoryWith(['custom-service'])
    workspace = await Workspace.create()
    slipway = await Slipway.start(settingsOf(workspace, packages))
  })
  afterAll(async () => {
    await slipway[Symbol.asyncDispose]()
    await workspace[Symbol.asyncDispose]()
    await packages[Symbol.asyncDispose]()
  })

  const revisions = () => slipway.logged('image built').map(({ revision }) => revision)

  test('a moved tag is prebuilt and served', async () => {
    const before = await imageDigest(slipway, 'custom-service', 'release-v1')
    const commit = await release(packages, '3.0')
    await packages.git('tag', '--annotate', '--force', 'release-v1', '--message', 'moved')
    await sendWebhook(slipway, secret, 'refs/tags/release-v1')
    await slipway.untilLogged('image built', { revision: commit })
    expect(await imageDigest(slipway, 'custom-service', 'release-v1')).not.toBe(before)
  })

  test('a deleted tag is unknown after the next fetch', async () => {
    await imageDigest(slipway, 'custom-service', 'release-v2')
    await packages.git('tag', '--delete', 'release-v2')
    await sendWebhook(slipway, secret, 'refs/tags/release-v2')
    await untilAnswered(slipway, 'release-v2', 404)
    expect((await pull(slipway, 'release-v2')).text).toMatch(/the nearest: release-v1/)
  })

  test('after a force-push the new commit is served, and the old one is unknown', async () => {
    await packages.git('branch', 'kept')
    const lost = await release(packages, '4.0')
    await sendWebhook(slipway, secret)
    await slipway.untilLogged('image built', { revision: lost })
    expect((await pull(slipway, lost)).status).toBe(200)
    await packages.git('reset', '--quiet', '--hard', 'kept')
    const found = await release(packages, '5.0')
    await sendWebhook(slipway, secret)
    await slipway.untilLogged('image built', { revision: found })
    expect((await pull(slipway, 'latest')).status).toBe(200)
    expect((await pull(slipway, lost)).status).toBe(404)
  })

  test('a commit that only a pull request has is neither built nor served', async () => {
    await packages.git('checkout', '--quiet', '--detach')
    const foreign = await release(packages, '6.0')
    await packages.git('update-ref', 'refs/pull/1/head', foreign)
    await packages.git('checkout', '--quiet', 'main')
    const known = await release(packages, '7.0')
    await sendWebhook(slipway, secret)
    await slipway.untilLogged('image built', { revision: known })
    expect((await pull(slipway, foreign)).status).toBe(404)
    expect((await pull(slipway, foreign.slice(0, 10))).status).toBe(404)
    expect(revisions()).not.toContain(foreign)
  })

  test('after all refs were deleted nothing can be pulled until a branch is pushed', async () => {
    const commit = await packages.git('rev-parse', 'main')
    const all = (await packages.git('for-each-ref', '--format=delete %(refname)')).split('\n')
    for (const line of all) await packages.git('update-ref', '-d', line.slice('delete '.length))
    await sendWebhook(slipway, secret)
    await untilAnswered(slipway, 'latest', 404)
    expect((await pull(slipway, 'latest')).text).toMatch(/has no default branch/)
    expect((await slipway.fetch('/readyz')).status).toBe(200)
    const tags = await slipway.fetch('/v2/custom-service/tags/list')
    expect(await tags.json()).toEqual({ name: 'custom-service', tags: [] })
    await packages.git('update-ref', 'refs/heads/main', commit)
    await sendWebhook(slipway, secret)
    await untilAnswered(slipway, 'latest', 200)
  })

  test('a damaged mirror is replaced at the next start', async () => {
    const digest = await imageDigest(slipway, 'custom-service', 'latest')
    await slipway.stop()
    const mirrors = join(workspace.folder, 'state', 'mirrors')
    const [mirror = ''] = await readdir(mirrors)
    await writeFile(join(mirrors, mirror, 'HEAD'), 'damaged by a full disk')
    slipway = await Slipway.start(settingsOf(workspace, packages))
    expect(slipway.logged('the git mirror is damaged; the next fetch replaces it')).toHaveLength(1)
    expect(await imageDigest(slipway, 'custom-service', 'latest')).toBe(digest)
    expect(built(slipway)).toEqual([])
  })
})

describe('a hanging remote', () => {
  test('while the remote hangs known tags are served, and /readyz has the failure when the fetch fails', async () => {
    await using packages = await repositoryWith(['custom-service'])
    await using workspace = await Workspace.create()
    const login = { user: 'ann', password: 'secret' }
    await using server = await GitHttpServer.start({ folder: packages.folder, ...login })
    await using proxy = await HangingProxy.start(Number(server.host.split(':')[1]))
    const settings = {
      ...settingsOf(workspace, packages),
      NIXERY_PKGS_REPO: `http://ann:secret@127.0.0.1:${proxy.port}/packages.git`,
    }
    await using slipway = await Slipway.start(settings)
    await expect.poll(() => built(slipway).length, patient).toBe(1)
    const digest = await imageDigest(slipway, 'custom-service', 'latest')
    const failure = async () => {
      const response = await slipway.fetch('/readyz')
      expect(response.status).toBe(200)
      return ((await response.json()) as { source: { failure?: string } }).source.failure
    }
    proxy.hang()
    const commit = await release(packages, '3.0')
    await sendWebhook(slipway, secret)
    await expect.poll(() => proxy.held, patient).toBeGreaterThan(0)
    expect(await imageDigest(slipway, 'custom-service', 'latest')).toBe(digest)
    expect(await failure()).toBeUndefined()
    proxy.cut()
    await expect.poll(failure, patient).toMatch(/git (ls-remote|fetch) failed/)
    expect(await failure()).not.toContain('secret')
    expect(await imageDigest(slipway, 'custom-service', 'latest')).toBe(digest)

    proxy.goOn()
    await slipway.untilLogged('image built', { revision: commit })
    expect(await failure()).toBeUndefined()
  })
})
