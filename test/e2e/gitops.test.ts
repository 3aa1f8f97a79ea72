/** A pushed ref builds its images before anybody pulls. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { announce } from '../support/announce.ts'
import { GitHttpServer } from '../support/git-http-server.ts'
import { HangingProxy } from '../support/hanging-proxy.ts'
import { ObservedNix } from '../support/observed-nix.ts'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'

const secret = 'a secret between git and the registry'

/** What makes a run's derivations new, so that they are really built. */
const salt = `${process.pid}-${Date.now()}`

/** A repository whose slipway.json declares images, and adds packages of shell scripts to the set. */
async function repositoryWith(
  images: string[],
  scripts: Record<string, string> = {},
): Promise<PackageSet> {
  const packages = await PackageSet.create()
  const added = Object.entries(scripts).map(
    ([name, script]) =>
      `  ${name} = package { name = "${name}"; salt = "${salt}"; script = ''${script}''; };\n`,
  )
  if (added.length > 0) {
    await packages.replace(
      'default.nix',
      '  custom-service =',
      `${added.join('')}  custom-service =`,
    )
  }
  await packages.commit('slipway.json', JSON.stringify({ images }))
  return packages
}

function settingsOf(workspace: Workspace, packages: PackageSet): Record<string, string> {
  return {
    ...workspace.settings(packages.folder),
    SLIPWAY_WEBHOOK_SECRET: secret,
    // What quickstart repositories are dated: the tests say what is pushed, not what is young.
    SLIPWAY_PREBUILD_MAX_AGE: '0',
  }
}

const built = (slipway: Slipway) => slipway.logged('image built').map(({ image }) => image)

async function digestOf(slipway: Slipway, image: string, tag: string): Promise<string | null> {
  const response = await slipway.fetch(`/v2/${image}/manifests/${tag}`)
  expect(response.status, await response.text()).toBe(200)
  return response.headers.get('Docker-Content-Digest')
}

const patient = { timeout: 60_000, interval: 100 }

describe('a pushed tag', () => {
  test('is built after its webhook, and then pulled without Nix', async () => {
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
    expect(await announce(slipway, secret, 'refs/tags/release-v3')).toBe(202)
    await expect.poll(() => built(slipway).length, patient).toBeGreaterThanOrEqual(4)
    await nix.break()
    await digestOf(slipway, 'custom-service', 'release-v3')
    await digestOf(slipway, 'shell/jq', 'release-v3')
    expect((await slipway.fetch('/v2/hello/manifests/release-v3')).status).toBe(503)
  })

  test('whose webhook is lost is found by the timer, five at once too', async () => {
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
    await digestOf(slipway, 'custom-service', 'release-v5')
  })

  test('that was pushed while the service was down is built at the next start, and only once', async () => {
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
    await announce(first, secret)
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
    await expect.poll(() => third.logged('reconciled').length, patient).toBeGreaterThan(0)
    expect(third.logged('reconciled')[0]).toMatchObject({ missing: 0 })
    expect(built(third)).toEqual([])
  })
})

describe('a release of many images', () => {
  test('is evaluated once and realised in one process; a broken image does not take the others down', async () => {
    const names = Array.from({ length: 27 }, (_, index) => `thing${index}`)
    const scripts = Object.fromEntries(names.map((name) => [name, `echo ${name} >$out`]))
    await using packages = await repositoryWith(
      [...names, 'thingbroken', 'broken-build', 'nosuchpackage'],
      { ...scripts, thingbroken: 'echo the reason; exit 7' },
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
    // The failure is known: a pull hears it without another build.
    await nix.break()
    const response = await slipway.fetch('/v2/thingbroken/manifests/latest')
    expect(response.status).toBe(422)
    expect(await response.text()).toMatch(
      /failed with exit code 7; the end of its log:\\nthe reason/,
    )
  })

  test('with an invalid slipway.json says so, and goes on', async () => {
    await using packages = await repositoryWith(['custom-service'])
    await packages.commit('slipway.json', '{"images": ["Custom Service"], "tag": []}')
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace, packages))
    await expect.poll(() => slipway.logged('slipway.json is invalid').length, patient).toBe(1)
    expect(slipway.logged('slipway.json is invalid')[0]?.failure).toMatch(/images\[0\].*tag/s)
    await digestOf(slipway, 'custom-service', 'latest')
  })
})

describe('a pull', () => {
  test('during a queue of 20 sleeping prebuilds is answered at once', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `sleeper${index}`)
    const scripts = Object.fromEntries(names.map((name) => [name, 'sleep 300']))
    await using packages = await repositoryWith(names, { ...scripts, quick: 'echo quick >$out' })
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start({
      ...settingsOf(workspace, packages),
      SLIPWAY_BUILD_CONCURRENCY: '1',
    })
    await expect.poll(() => slipway.logged('prebuilding').length, patient).toBe(1)
    // It needs a builder, of which there is one, and that one sleeps.
    await digestOf(slipway, 'quick', 'latest')
    expect(built(slipway)).toEqual(['quick'])
  })

  test('counts for what is prebuilt next', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace, packages))
    await digestOf(slipway, 'jq', 'latest')
    await packages.commit('custom-service/version', '3.0\n')
    await announce(slipway, secret)
    await expect.poll(() => built(slipway), patient).toEqual(['jq', 'jq'])
  })
})

describe('a webhook', () => {
  test('with a wrong signature changes nothing', async () => {
    await using packages = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace, packages))
    const response = await slipway.fetch('/webhooks/generic', {
      method: 'POST',
      headers: { 'X-Signature-256': `sha256=${'0'.repeat(64)}` },
    })
    expect(response.status).toBe(401)
  })

  test('1,000 of them in a row cost a handful of fetches', async () => {
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
        Array.from({ length: 100 }, () => announce(slipway, secret)),
      )
      expect(new Set(statuses)).toEqual(new Set([202]))
    }
    const fetches = (await readFile(log, 'utf8')).trim().split('\n').length
    expect(fetches).toBeLessThan(100)
  })
})

/** The code of the answer to a pull, and what it says. */
async function pull(slipway: Slipway, tag: string): Promise<{ status: number; text: string }> {
  const response = await slipway.fetch(`/v2/custom-service/manifests/${tag}`)
  return { status: response.status, text: await response.text() }
}

/** Waits until a pull is answered so. */
async function answers(slipway: Slipway, tag: string, status: number): Promise<void> {
  await expect.poll(async () => (await pull(slipway, tag)).status, patient).toBe(status)
}

/** Has custom-service be another program. @returns the new commit */
const release = (packages: PackageSet, version: string) =>
  packages.commit('custom-service/version', `${version}\n`)

/** One service follows one repository through all of this. */
describe('a ref', () => {
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

  test('that is a tag and moves means another image, which is built', async () => {
    const before = await digestOf(slipway, 'custom-service', 'release-v1')
    const commit = await release(packages, '3.0')
    await packages.git('tag', '--annotate', '--force', 'release-v1', '--message', 'moved')
    await announce(slipway, secret, 'refs/tags/release-v1')
    await expect.poll(revisions, patient).toContain(commit)
    expect(await digestOf(slipway, 'custom-service', 'release-v1')).not.toBe(before)
  })

  test('that is deleted is not known after the next fetch', async () => {
    await digestOf(slipway, 'custom-service', 'release-v2')
    await packages.git('tag', '--delete', 'release-v2')
    await announce(slipway, secret, 'refs/tags/release-v2')
    await answers(slipway, 'release-v2', 404)
    expect((await pull(slipway, 'release-v2')).text).toMatch(/the nearest: release-v1/)
  })

  test('that is pushed by force leads to what was pushed; what it led to is not known', async () => {
    await packages.git('branch', 'kept')
    const lost = await release(packages, '4.0')
    await announce(slipway, secret)
    await expect.poll(revisions, patient).toContain(lost)
    expect((await pull(slipway, lost)).status).toBe(200)
    await packages.git('reset', '--quiet', '--hard', 'kept')
    const found = await release(packages, '5.0')
    await announce(slipway, secret)
    await expect.poll(revisions, patient).toContain(found)
    expect((await pull(slipway, 'latest')).status).toBe(200)
    expect((await pull(slipway, lost)).status).toBe(404)
  })

  test('of a pull request alone is neither built nor known', async () => {
    await packages.git('checkout', '--quiet', '--detach')
    const foreign = await release(packages, '6.0')
    await packages.git('update-ref', 'refs/pull/1/head', foreign)
    await packages.git('checkout', '--quiet', 'main')
    const known = await release(packages, '7.0')
    await announce(slipway, secret)
    await expect.poll(revisions, patient).toContain(known)
    expect((await pull(slipway, foreign)).status).toBe(404)
    expect((await pull(slipway, foreign.slice(0, 10))).status).toBe(404)
    expect(revisions()).not.toContain(foreign)
  })

  test('is missed when all are gone, which the service survives, and found when it is back', async () => {
    const commit = await packages.git('rev-parse', 'main')
    const all = (await packages.git('for-each-ref', '--format=delete %(refname)')).split('\n')
    for (const line of all) await packages.git('update-ref', '-d', line.slice('delete '.length))
    await announce(slipway, secret)
    await answers(slipway, 'latest', 404)
    expect((await pull(slipway, 'latest')).text).toMatch(/has no default branch/)
    expect((await slipway.fetch('/readyz')).status).toBe(200)
    const tags = await slipway.fetch('/v2/custom-service/tags/list')
    expect(await tags.json()).toEqual({ name: 'custom-service', tags: [] })
    await packages.git('update-ref', 'refs/heads/main', commit)
    await announce(slipway, secret)
    await answers(slipway, 'latest', 200)
  })

  test('is found in a new clone when the mirror was damaged while the service was down', async () => {
    const digest = await digestOf(slipway, 'custom-service', 'latest')
    await slipway.stop()
    const mirrors = join(workspace.folder, 'state', 'mirrors')
    const [mirror = ''] = await readdir(mirrors)
    await writeFile(join(mirrors, mirror, 'HEAD'), 'what a full disk leaves')
    slipway = await Slipway.start(settingsOf(workspace, packages))
    expect(slipway.logged('the git mirror is damaged; the next fetch replaces it')).toHaveLength(1)
    expect(await digestOf(slipway, 'custom-service', 'latest')).toBe(digest)
    expect(built(slipway)).toEqual([])
  })
})

describe('a remote', () => {
  test('that hangs is told of, while known tags are answered', async () => {
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
    const digest = await digestOf(slipway, 'custom-service', 'latest')
    const failure = async () => {
      const response = await slipway.fetch('/readyz')
      expect(response.status).toBe(200)
      return ((await response.json()) as { source: { failure?: string } }).source.failure
    }
    proxy.hang()
    const commit = await release(packages, '3.0')
    await announce(slipway, secret)
    await expect.poll(() => proxy.held, patient).toBeGreaterThan(0)
    expect(await digestOf(slipway, 'custom-service', 'latest')).toBe(digest)
    expect(await failure()).toBeUndefined()
    proxy.cut()
    await expect.poll(failure, patient).toMatch(/git (ls-remote|fetch) failed/)
    expect(await failure()).not.toContain('secret')
    expect(await digestOf(slipway, 'custom-service', 'latest')).toBe(digest)

    proxy.goOn()
    await expect
      .poll(() => slipway.logged('image built'), patient)
      .toContainEqual(expect.objectContaining({ revision: commit }))
    expect(await failure()).toBeUndefined()
  })
})
