/** The service as a process: one build for many, the same digests always, faults, signals. */
import { execFile } from 'node:child_process'
import { appendFile, mkdir, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PackageSet } from '../support/package-set.ts'
import { silentServer } from '../support/silent-server.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { stagedIn } from '../support/storage.ts'

const run = promisify(execFile)

let packages: PackageSet

beforeAll(async () => {
  packages = await PackageSet.create()
})
afterAll(() => packages?.[Symbol.asyncDispose]())

async function digestOf(slipway: Slipway, image: string, tag = 'latest'): Promise<string> {
  const response = await slipway.fetch(`/v2/${image}/manifests/${tag}`)
  expect(response.status, await response.clone().text()).toBe(200)
  return response.headers.get('Docker-Content-Digest') ?? ''
}

/** With zstd a layer that is packed again has the same digest; gzip by ISA-L may differ by a few bytes. */
const settingsOf = (workspace: Workspace) => {
  return { ...workspace.settings(packages.folder), SLIPWAY_COMPRESSION: 'zstd' }
}

describe('building', () => {
  test('16 clients that ask for one cold image share one build', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const digests = await Promise.all(
      Array.from({ length: 16 }, () => digestOf(slipway, 'shell/custom-service')),
    )
    expect(new Set(digests).size).toBe(1)
    expect(slipway.logged('image built')).toHaveLength(1)
  })

  test('gives the same digest for the same packages, whatever the tag, restart or storage', async () => {
    await using workspace = await Workspace.create()
    const settings = settingsOf(workspace)
    let first: string
    {
      await using slipway = await Slipway.start(settings)
      first = await digestOf(slipway, 'git/jq', 'release-v1')
      expect(await digestOf(slipway, 'jq/git/jq', 'release-v2')).toBe(first)
    }
    {
      await using slipway = await Slipway.start(settings)
      expect(await digestOf(slipway, 'git/jq', 'release-v1')).toBe(first)
      expect(slipway.logged('image built')).toHaveLength(0)
    }
    await rm(workspace.storage, { recursive: true })
    {
      await using slipway = await Slipway.start(settings)
      expect(await digestOf(slipway, 'git/jq', 'release-v1')).toBe(first)
      expect(slipway.logged('image built')).toHaveLength(1)
    }
  })

  test('a stored image needs no Nix', async () => {
    await using workspace = await Workspace.create()
    const settings = workspace.settings(packages.folder)
    const before = await Slipway.start(settings)
    const digest = await digestOf(before, 'hello')
    await before.stop()
    // A Nix that tells its version, as the service asks at start-up, and does nothing else.
    const broken = join(workspace.folder, 'broken-nix')
    await mkdir(broken)
    for (const program of ['nix', 'nix-store', 'nix-instantiate']) {
      const script = '#!/bin/sh\n[ "$1" = --version ] && echo broken && exit 0\nexit 1\n'
      await writeFile(join(broken, program), script, { mode: 0o755 })
    }
    await using slipway = await Slipway.start({
      ...settings,
      PATH: `${broken}:${process.env.PATH}`,
    })
    expect(await digestOf(slipway, 'hello')).toBe(digest)
    expect((await slipway.fetch('/v2/jq/manifests/latest')).status).toBe(503)
  })

  test('a lost layer is packed again at the next pull', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace))
    const digest = await digestOf(slipway, 'hello')
    const manifest = (await (await slipway.fetch(`/v2/hello/manifests/${digest}`)).json()) as {
      layers: { digest: string }[]
    }
    const lost = manifest.layers[0]?.digest ?? ''
    await rm(join(workspace.storage, 'blobs/sha256', lost.slice('sha256:'.length)))
    const head = async () =>
      (await slipway.fetch(`/v2/hello/blobs/${lost}`, { method: 'HEAD' })).status
    expect(await head()).toBe(404)
    expect(await digestOf(slipway, 'hello')).toBe(digest)
    expect(await head()).toBe(200)
  })

  test('a layer that was cut short is packed again at the next pull', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace))
    const digest = await digestOf(slipway, 'hello')
    const stored = await slipway.fetch(`/v2/hello/manifests/${digest}`)
    const { layers } = (await stored.json()) as { layers: { digest: string; size: number }[] }
    const { digest: cut = '', size } = layers[0] ?? {}
    await truncate(join(workspace.storage, 'blobs/sha256', cut.slice('sha256:'.length)), 100)
    const head = () => slipway.fetch(`/v2/hello/blobs/${cut}`, { method: 'HEAD' })
    expect((await head()).status).toBe(404)
    expect(await digestOf(slipway, 'hello')).toBe(digest)
    expect((await head()).headers.get('Content-Length')).toBe(String(size))
  })

  test('an image holds what the config of its package refers to', async () => {
    await using own = await PackageSet.create()
    const greeting = 'passthru.imageConfig.Cmd = [ "${host.hello}/bin/hello" ];'
    await own.replace(
      'default.nix',
      '  custom-service =',
      `  greeting = package { name = "greeting"; script = "mkdir $out"; ${greeting} };\n  custom-service =`,
    )
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(own.folder))
    await digestOf(slipway, 'greeting')
    const response = await slipway.fetch('/v2/greeting/manifests/latest')
    const { config } = (await response.json()) as { config: { digest: string } }
    const { history } = (await (
      await slipway.fetch(`/v2/greeting/blobs/${config.digest}`)
    ).json()) as {
      history: { created_by: string }[]
    }
    expect(history.map(({ created_by }) => created_by).join()).toMatch(/hello-[\d.]+/)
  })

  test('a package set with a broken cacert has images without it', async () => {
    await using own = await PackageSet.create()
    await own.replace(
      'default.nix',
      '  custom-service =',
      '  cacert = throw "removed";\n  custom-service =',
    )
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(own.folder))
    await digestOf(slipway, 'hello')
    expect((await slipway.fetch('/v2/hello/cacert/manifests/latest')).status).toBe(422)
  })

  test('a build goes on when nobody waits for it any more', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const impatient = slipway.fetch('/v2/shell/jq/hello/manifests/latest', {
      signal: AbortSignal.timeout(20),
    })
    await expect(impatient).rejects.toThrow()
    await expect.poll(() => slipway.logged('image built').length, { timeout: 30_000 }).toBe(1)
  })

  test('a failure is shared by the requests of one pull', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const ask = async () => (await slipway.fetch('/v2/broken-build/manifests/latest')).text()
    const started = performance.now()
    const first = await ask()
    const firstTook = performance.now() - started
    expect(await ask()).toBe(first)
    expect(first).toMatch(/exit code/)
    expect(performance.now() - started - firstTook).toBeLessThan(firstTook)
  })

  test('leaves nothing behind: no temporary files, no GC roots of outputs', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    await digestOf(slipway, 'hello')
    await slipway.fetch('/v2/broken-build/manifests/latest')
    // What was built is written down after the answer.
    await expect.poll(() => stagedIn(workspace.storage)).toEqual([])
    expect(await readdir(join(workspace.folder, 'state/run/tmp'))).toEqual([])
    // What is evaluated stays: the next image of the same revision needs it.
    expect(await readdir(join(workspace.folder, 'state/run/gcroots'))).toEqual([
      expect.stringMatching(/^source-[0-9a-f]{40}$/),
    ])
  })
})

describe('following the repository', () => {
  test('an unknown tag is looked for in the remote, a moved one follows at the next poll', async () => {
    await using own = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start({
      ...workspace.settings(own.folder),
      SLIPWAY_POLL_INTERVAL: '1',
    })
    const v2 = await digestOf(slipway, 'custom-service', 'release-v2')
    await own.commit('custom-service/version', '3.0\n')
    await own.git('tag', '--annotate', 'release-v3', '--message', 'Release 3')
    const v3 = await digestOf(slipway, 'custom-service', 'release-v3')
    expect(v3).not.toBe(v2)
    await own.git('tag', '--force', '--annotate', 'release-v2', '--message', 'again')
    await expect
      .poll(() => digestOf(slipway, 'custom-service', 'release-v2'), { timeout: 20_000 })
      .toBe(v3)
  })

  test('a remote that went away leaves the mirror in service, and says so', async () => {
    await using own = await PackageSet.create()
    await using workspace = await Workspace.create()
    const settings = workspace.settings(own.folder)
    await (await Slipway.start(settings)).stop()
    await rename(own.folder, `${own.folder}-gone`)
    try {
      await using slipway = await Slipway.start(settings)
      expect(await digestOf(slipway, 'hello', 'release-v1')).toMatch(/^sha256:/)
      const ready = async () =>
        (await (await slipway.fetch('/readyz')).json()) as { source: object }
      await expect
        .poll(async () => (await ready()).source)
        .toMatchObject({
          ready: true,
          failure: expect.stringContaining('does not appear to be a git repository'),
        })
      const unknown = await slipway.fetch('/v2/hello/manifests/release-v9')
      expect(unknown.status).toBe(503)
      expect(unknown.headers.get('Retry-After')).toMatch(/^\d+$/)
    } finally {
      await rename(`${own.folder}-gone`, own.folder)
    }
  })

  test('a remote that cannot be reached, and no mirror: ends with the reason, without credentials', async () => {
    await using workspace = await Workspace.create()
    const { code, stderr } = await Slipway.fail(
      workspace.settings('http://user:hunter2@127.0.0.1:1/packages.git'),
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/slipway: .*127\.0\.0\.1/s)
    expect(stderr).not.toContain('hunter2')
  })

  test('a remote that hangs delays no pull of a known tag', async () => {
    await using own = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using silent = await silentServer()
    // git's own configuration sends the same URL to a server that never answers.
    const config = join(workspace.folder, 'gitconfig')
    await writeFile(config, '')
    const settings = { ...workspace.settings(own.folder), GIT_CONFIG_GLOBAL: config }
    await (await Slipway.start(settings)).stop()
    await appendFile(
      config,
      `[url "git://127.0.0.1:${silent.port}/"]\n\tinsteadOf = ${own.folder}\n`,
    )
    await using slipway = await Slipway.start(settings)
    expect(await digestOf(slipway, 'hello', 'release-v1')).toMatch(/^sha256:/)
  })
})

describe('starting and stopping', () => {
  test('wrong settings end it at once, all of them named', async () => {
    const { code, stderr } = await Slipway.fail({ PORT: 'http', SLIPWAY_COMPRESSION: 'best' })
    expect(code).toBe(1)
    expect(stderr).toContain('PORT="http"')
    expect(stderr).toContain('SLIPWAY_COMPRESSION="best"')
    expect(stderr).toContain('no source')
  })

  test('a port that is taken ends it with the reason', async () => {
    await using workspace = await Workspace.create()
    await using silent = await silentServer()
    const { code, stderr } = await Slipway.fail({
      ...workspace.settings(packages.folder),
      PORT: String(silent.port),
    })
    expect(code).toBe(1)
    expect(stderr).toMatch(/EADDRINUSE/)
  })

  test('SIGTERM lets a request finish, kills Nix at the end of the grace period, and exits 0', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const blocked = slipway.fetch('/v2/sleeper/manifests/latest').catch(() => 'cut')
    const quick = slipway.fetch('/v2/jq/custom-service/manifests/latest')
    await expect.poll(() => nixProcesses(slipway.pid), { timeout: 20_000 }).toBeGreaterThan(0)
    await sleep(100)
    const stopped = slipway.stop('SIGTERM')
    expect((await quick).status).toBe(200)
    expect(await stopped).toBe(0)
    expect(await blocked).toBe('cut')
    const { stdout } = await run('ps', ['-eo', 'args'])
    expect(stdout).not.toContain(`${workspace.folder}/state/run/gcroots`)
  })
})

/** Children of the service that are Nix. */
async function nixProcesses(pid: number): Promise<number> {
  const { stdout } = await run('ps', ['--ppid', String(pid), '-o', 'comm=']).catch(() => ({
    stdout: '',
  }))
  return stdout.split('\n').filter((name) => name.startsWith('nix')).length
}
