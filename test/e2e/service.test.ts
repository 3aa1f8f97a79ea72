/** The service as a process: shared builds, constant digests, failures, signals. */
import { execFile } from 'node:child_process'
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BuilderGate } from '../support/builder-gate.ts'
import { ObservedNix } from '../support/observed-nix.ts'
import { PackageSet } from '../support/package-set.ts'
import { imageDigest, pullBlob, pullManifest } from '../support/pull.ts'
import { silentServer } from '../support/silent-server.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { stagedIn } from '../support/storage.ts'

const run = promisify(execFile)

let packages: PackageSet

beforeAll(async () => {
  packages = await PackageSet.create()
})
afterAll(() => packages?.[Symbol.asyncDispose]())

const blobFile = ({ storage }: Workspace, digest: string) =>
  join(storage, 'blobs/sha256', digest.slice('sha256:'.length))

/** With zstd a layer that is packed again has the same digest; gzip by ISA-L may differ by a few bytes. */
const settingsOf = (workspace: Workspace) => {
  return { ...workspace.settings(packages.folder), SLIPWAY_COMPRESSION: 'zstd' }
}

describe('builds', () => {
  test('16 clients that pull the same cold image share one build', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const digests = await Promise.all(
      Array.from({ length: 16 }, () => imageDigest(slipway, 'shell/custom-service')),
    )
    expect(new Set(digests).size).toBe(1)
    expect(slipway.logged('image built')).toHaveLength(1)
  })

  test('the same packages have the same digest at every tag, after a restart and in another storage', async () => {
    await using workspace = await Workspace.create()
    const settings = settingsOf(workspace)
    let first: string
    {
      await using slipway = await Slipway.start(settings)
      first = await imageDigest(slipway, 'git/jq', 'release-v1')
      expect(await imageDigest(slipway, 'jq/git/jq', 'release-v2')).toBe(first)
    }
    {
      await using slipway = await Slipway.start(settings)
      expect(await imageDigest(slipway, 'git/jq', 'release-v1')).toBe(first)
      expect(slipway.logged('image built')).toHaveLength(0)
    }
    await rm(workspace.storage, { recursive: true })
    {
      await using slipway = await Slipway.start(settings)
      expect(await imageDigest(slipway, 'git/jq', 'release-v1')).toBe(first)
      expect(slipway.logged('image built')).toHaveLength(1)
    }
  })

  test('a stored image is served without Nix', async () => {
    await using workspace = await Workspace.create()
    const nix = await ObservedNix.create(join(workspace.folder, 'nix'))
    const settings = { ...workspace.settings(packages.folder), PATH: nix.path }
    const before = await Slipway.start(settings)
    const digest = await imageDigest(before, 'hello')
    await before.stop()
    await using slipway = await Slipway.start(settings)
    await slipway.untilLogged('Nix found')
    await nix.break()
    expect(await imageDigest(slipway, 'hello')).toBe(digest)
    expect((await slipway.fetch('/v2/jq/manifests/latest')).status).toBe(503)
  })

  test('a service whose Nix does not work ends after its start', async () => {
    await using workspace = await Workspace.create()
    const nix = await ObservedNix.create(join(workspace.folder, 'nix'))
    await nix.break()
    const settings = { ...workspace.settings(packages.folder), PATH: nix.path }
    expect(await Slipway.fail(settings)).toEqual({
      code: 1,
      stderr: expect.stringContaining('the Nix store cannot be used: Nix is broken'),
    })
  })

  test('SIGTERM while Nix is checked ends the service with exit code 0', async () => {
    await using workspace = await Workspace.create()
    await using gate = await BuilderGate.create()
    const bin = join(workspace.folder, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'nix-store'), `#!/bin/sh\nexec sh -c '${gate.wait}'\n`, {
      mode: 0o755,
    })
    const PATH = `${bin}:${process.env.PATH}`
    await using slipway = await Slipway.start({ ...workspace.settings(packages.folder), PATH })
    await gate.reached()
    // From now on there is a packing worker, whose end takes longer than the end of Nix.
    await slipway.untilLogged('compressor of layers selected')
    expect(await slipway.stop()).toBe(0)
    expect(slipway.logged('stopped')).toHaveLength(1)
  })

  test('a lost layer is packed again at the next pull', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace))
    const { digest, manifest } = await pullManifest(slipway, 'hello')
    const lost = manifest.layers[0]?.digest ?? ''
    await rm(blobFile(workspace, lost))
    const head = () => slipway.fetch(`/v2/hello/blobs/${lost}`, { method: 'HEAD' })
    expect((await head()).status).toBe(404)
    expect(await imageDigest(slipway, 'hello')).toBe(digest)
    expect((await head()).status).toBe(200)
  })

  test('a truncated layer is packed again at the next pull', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(settingsOf(workspace))
    const { digest, manifest } = await pullManifest(slipway, 'hello')
    const { digest: truncated = '', size } = manifest.layers[0] ?? {}
    await truncate(blobFile(workspace, truncated), 100)
    const head = () => slipway.fetch(`/v2/hello/blobs/${truncated}`, { method: 'HEAD' })
    expect((await head()).status).toBe(404)
    expect(await imageDigest(slipway, 'hello')).toBe(digest)
    expect((await head()).headers.get('Content-Length')).toBe(String(size))
  })

  test('an image contains the store paths that its config mentions', async () => {
    await using own = await PackageSet.create()
    const greeting = 'passthru.imageConfig.Cmd = [ "${host.hello}/bin/hello" ];'
    await own.addAttributes({
      greeting: `package { name = "greeting"; script = "mkdir $out"; ${greeting} }`,
    })
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(own.folder))
    const { manifest } = await pullManifest(slipway, 'greeting')
    const config = await pullBlob(slipway, 'greeting', manifest.config)
    const { history } = JSON.parse(config.toString()) as { history: { created_by: string }[] }
    expect(history.map(({ created_by }) => created_by).join()).toMatch(/hello-[\d.]+/)
  })

  test('images of a package set with a broken cacert are built without cacert', async () => {
    await using own = await PackageSet.create()
    await own.addAttributes({ cacert: 'throw "removed"' })
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(own.folder))
    await imageDigest(slipway, 'hello')
    expect((await slipway.fetch('/v2/hello/cacert/manifests/latest')).status).toBe(422)
  })

  test('a build goes on after its clients have left', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const leaving = new AbortController()
    const pull = slipway.fetch('/v2/shell/jq/hello/manifests/latest', { signal: leaving.signal })
    await slipway.untilLogged('building image')
    leaving.abort()
    await expect(pull).rejects.toThrow()
    await slipway.untilLogged('image built')
  })

  test('the HEAD and the GET of a failed pull share one build', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const path = '/v2/broken-build/manifests/latest'
    expect((await slipway.fetch(path, { method: 'HEAD' })).status).toBe(422)
    expect(await (await slipway.fetch(path)).text()).toMatch(/exit code/)
    expect(slipway.logged('image not built')).toHaveLength(1)
  })

  test('builds leave no temporary files and no GC roots of outputs', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    await imageDigest(slipway, 'hello')
    await slipway.fetch('/v2/broken-build/manifests/latest')
    // The build journal is written after the response.
    await expect.poll(() => stagedIn(workspace.storage)).toEqual([])
    expect(await readdir(join(workspace.folder, 'state/run/tmp'))).toEqual([])
    // The source tree stays for the next image of the same revision.
    expect(await readdir(join(workspace.folder, 'state/run/gcroots'))).toEqual([
      expect.stringMatching(/^source-[0-9a-f]{40}$/),
    ])
  })
})

describe('following the repository', () => {
  test('a new tag is fetched when it is pulled, a moved tag at the next poll', async () => {
    await using own = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start({
      ...workspace.settings(own.folder),
      SLIPWAY_POLL_INTERVAL: '1',
    })
    const v2 = await imageDigest(slipway, 'custom-service', 'release-v2')
    await own.commit('custom-service/version', '3.0\n')
    await own.git('tag', '--annotate', 'release-v3', '--message', 'Release 3')
    const v3 = await imageDigest(slipway, 'custom-service', 'release-v3')
    expect(v3).not.toBe(v2)
    await own.git('tag', '--force', '--annotate', 'release-v2', '--message', 'again')
    await expect
      .poll(() => imageDigest(slipway, 'custom-service', 'release-v2'), { timeout: 20_000 })
      .toBe(v3)
  })

  test('without its remote the service serves the mirror, and /readyz has the failure', async () => {
    await using own = await PackageSet.create()
    await using workspace = await Workspace.create()
    const settings = workspace.settings(own.folder)
    await (await Slipway.start(settings)).stop()
    await rename(own.folder, `${own.folder}-gone`)
    try {
      await using slipway = await Slipway.start(settings)
      await imageDigest(slipway, 'hello', 'release-v1')
      const source = async () =>
        ((await (await slipway.fetch('/readyz')).json()) as { source: object }).source
      await expect.poll(source).toMatchObject({
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

  test('without remote and mirror the start fails, and stderr shows no credentials', async () => {
    await using workspace = await Workspace.create()
    const { code, stderr } = await Slipway.fail(
      workspace.settings('http://user:hunter2@127.0.0.1:1/packages.git'),
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/slipway: .*127\.0\.0\.1/s)
    expect(stderr).not.toContain('hunter2')
  })

  test('a known tag can be pulled while the remote hangs', async () => {
    await using own = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using silent = await silentServer()
    // Git's configuration redirects the same URL to a server that never answers.
    const config = join(workspace.folder, 'gitconfig')
    await writeFile(config, '')
    const settings = { ...workspace.settings(own.folder), GIT_CONFIG_GLOBAL: config }
    await (await Slipway.start(settings)).stop()
    await appendFile(
      config,
      `[url "git://127.0.0.1:${silent.port}/"]\n\tinsteadOf = ${own.folder}\n`,
    )
    await using slipway = await Slipway.start(settings)
    await expect.poll(() => silent.connections()).toBeGreaterThan(0)
    await imageDigest(slipway, 'hello', 'release-v1')
    expect(silent.connections()).toBeGreaterThan(0)
  })
})

describe('start and stop', () => {
  test('the start fails at once with all wrong settings on stderr', async () => {
    const { code, stderr } = await Slipway.fail({ PORT: 'http', SLIPWAY_COMPRESSION: 'best' })
    expect(code).toBe(1)
    expect(stderr).toContain('PORT="http"')
    expect(stderr).toContain('SLIPWAY_COMPRESSION="best"')
    expect(stderr).toContain('no source')
  })

  test('the start fails if the port is in use', async () => {
    await using workspace = await Workspace.create()
    await using silent = await silentServer()
    const { code, stderr } = await Slipway.fail({
      ...workspace.settings(packages.folder),
      PORT: String(silent.port),
    })
    expect(code).toBe(1)
    expect(stderr).toMatch(/EADDRINUSE/)
  })

  test('after SIGTERM a quick pull still succeeds, Nix is killed after the grace period, and the exit code is 0', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const blocked = slipway.fetch('/v2/sleeper/manifests/latest').catch(() => 'cut')
    const quick = slipway.fetch('/v2/jq/custom-service/manifests/latest')
    await slipway.untilLogged('building image', { image: 'sleeper' })
    await slipway.untilLogged('building image', { image: 'jq/custom-service' })
    await expect.poll(() => nixProcesses(slipway.pid), { timeout: 20_000 }).toBeGreaterThan(0)
    const stopped = slipway.stop('SIGTERM')
    expect((await quick).status).toBe(200)
    expect(await stopped).toBe(0)
    expect(await blocked).toBe('cut')
    const { stdout } = await run('ps', ['-eo', 'args'])
    expect(stdout).not.toContain(`${workspace.folder}/state/run/gcroots`)
  })

  test('a build that SIGTERM ends is logged, and recorded in the journal', async () => {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const client = new AbortController()
    const pull = slipway.fetch('/v2/sleeper/manifests/latest', client).catch(() => 'left')
    await slipway.untilLogged('building image')
    await expect.poll(() => nixProcesses(slipway.pid), { timeout: 20_000 }).toBeGreaterThan(0)
    // Otherwise SIGTERM lets the request finish.
    client.abort()
    expect(await pull).toBe('left')
    expect(await slipway.stop('SIGTERM')).toBe(0)
    expect(slipway.logged('image not built')).toMatchObject([
      { image: 'sleeper', failure: 'the service is shutting down' },
    ])
    const journal = join(workspace.storage, 'builds')
    const entries = await Promise.all(
      (await readdir(journal)).map(async (id) =>
        JSON.parse(await readFile(join(journal, id), 'utf8')),
      ),
    )
    expect(entries).toMatchObject([{ image: 'sleeper', outcome: 'failed' }])
  })
})

/** Returns the number of the service's child processes that are Nix. */
async function nixProcesses(pid: number): Promise<number> {
  const { stdout } = await run('ps', ['--ppid', String(pid), '-o', 'comm=']).catch(() => ({
    stdout: '',
  }))
  return stdout.split('\n').filter((name) => name.startsWith('nix')).length
}
