/** Killed services and full disks. Nothing partial becomes visible, and the next pull works. */
import { setTimeout as sleep } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type BuildProgress, buildProgress } from '../support/build-progress.ts'
import { BuilderGate } from '../support/builder-gate.ts'
import { Disk } from '../support/disk.ts'
import { PackageSet } from '../support/package-set.ts'
import { failedRequest, imageDigest, pull, pullBlob, pullManifest } from '../support/pull.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { damageIn, stagedIn } from '../support/storage.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const path = '/v2/jq/manifests/release-v1'

let packages: PackageSet
/** Compile cache that all services share, so that they start in half the time. */
let compiled: TemporaryFolder
/** Progress after a whole build of the image. */
let whole: BuildProgress
let digest: string

beforeAll(async () => {
  packages = await PackageSet.create()
  compiled = await TemporaryFolder.create()
  await using workspace = await Workspace.create()
  await using slipway = await start(workspace)
  digest = await imageDigest(slipway, 'jq', 'release-v1')
  whole = buildProgress(workspace)
})
afterAll(async () => {
  await packages?.[Symbol.asyncDispose]()
  await compiled?.[Symbol.asyncDispose]()
})

/** With zstd an image has the same digest in every storage; gzip by ISA-L may differ by a few bytes. */
const settingsOf = (workspace: Workspace, repository: string) => {
  return { ...workspace.settings(repository), SLIPWAY_COMPRESSION: 'zstd' }
}

const start = (workspace: Workspace, repository = packages.folder) =>
  Slipway.start({ ...settingsOf(workspace, repository), NODE_COMPILE_CACHE: compiled.path })

/** Sends a request to a service that is killed before it answers. */
const doomedFetch = (slipway: Slipway, url: string) =>
  slipway.fetch(url).then(
    (response) => response.text(),
    () => 'cut',
  )

describe('kill -9', () => {
  const isPacking = ({ packing, images }: BuildProgress) => packing > 0 && images === 0
  /** Between the record of the last layer and the record that makes the image visible. */
  const isPublishing = ({ layers, images }: BuildProgress) =>
    layers === whole.layers && images === 0

  test.each<[moment: string, isNow: (progress: BuildProgress) => boolean]>([
    ['the tree of the commit is being exported', ({ exported }) => exported > 0],
    ['the tree is in the Nix store', ({ sources }) => sources > 0],
    ['the packages have GC roots', ({ held }) => held > 0],
    ['the plan is recorded', ({ plans }) => plans > 0],
    ['the first layers are being packed', (now) => isPacking(now) && now.blobs === 0],
    ['a layer is stored and not recorded', ({ blobs, layers }) => blobs > layers],
    ['half of the layers are recorded', (now) => isPacking(now) && now.layers >= whole.layers / 2],
    ['all layers are recorded', isPublishing],
    ['the config is stored', (now) => isPublishing(now) && now.blobs > whole.layers],
    ['the image is recorded', ({ images }) => images > 0],
  ])('kill -9 when %s loses only the running build', async (_moment, isNow) => {
    await using workspace = await killedWhen(isNow)
    expect(await damageIn(workspace.storage)).toEqual([])
    await using slipway = await start(workspace)
    expect(await stagedIn(workspace.storage)).toEqual([])
    expect(await imageDigest(slipway, 'jq', 'release-v1')).toBe(digest)
    expect(await damageIn(workspace.storage)).toEqual([])
    expect(buildProgress(workspace)).toMatchObject({ blobs: whole.blobs, packing: 0 })
  })

  /** Attempts to hit a moment of some milliseconds. */
  const attempts = 10

  /** Kills a service at this moment of its first build. Returns its workspace. */
  async function killedWhen(isNow: (progress: BuildProgress) => boolean): Promise<Workspace> {
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const workspace = await Workspace.create()
      const doomed = await start(workspace)
      const pull = doomedFetch(doomed, path)
      // Stops the service during the check, so that the moment does not pass meanwhile.
      const isReached = () => {
        process.kill(doomed.pid, 'SIGSTOP')
        const progress = buildProgress(workspace)
        if (isNow(progress) || progress.images > 0) return true
        process.kill(doomed.pid, 'SIGCONT')
        return false
      }
      while (!isReached()) await sleep(1)
      expect(await doomed.stop('SIGKILL')).toBe('SIGKILL')
      await pull
      // Checks again, because the service may have gone on for a moment before it stopped.
      if (isNow(buildProgress(workspace))) return workspace
      await workspace[Symbol.asyncDispose]()
    }
    throw new Error(`${attempts} builds passed this moment too quickly`)
  }
})

describe.concurrent('kill -9 while Nix builds', () => {
  test('after kill -9 the package is built again as a whole', async ({ expect }) => {
    await using gate = await BuilderGate.create()
    await using own = await PackageSet.create()
    await own.add({ half: `mkdir $out; echo 1 >$out/first; ${gate.wait}; echo 2 >$out/last` })
    await using workspace = await Workspace.create()
    const doomed = await start(workspace, own.folder)
    const pull = doomedFetch(doomed, '/v2/half/manifests/latest')
    await gate.reached()
    expect(await doomed.stop('SIGKILL')).toBe('SIGKILL')
    expect(await pull).toBe('cut')
    expect(await damageIn(workspace.storage)).toEqual([])
    expect(buildProgress(workspace)).toMatchObject({ blobs: 0, images: 0 })
    await using slipway = await start(workspace, own.folder)
    await gate.open()
    const { manifest } = await pullManifest(slipway, 'half')
    const files: string[] = []
    for (const layer of manifest.layers) {
      const tar = zstdDecompressSync(await pullBlob(slipway, 'half', layer)).toString('latin1')
      files.push(...(tar.match(/(?<=-half\/)\w+/g) ?? []))
    }
    expect(files).toEqual(expect.arrayContaining(['first', 'last']))
    expect(await damageIn(workspace.storage)).toEqual([])
    expect(await gate.builders()).toEqual([])
  })

  test('kill -9 also ends the builders', async ({ expect }) => {
    await using gate = await BuilderGate.create()
    await using own = await PackageSet.create()
    await own.add({ orphan: gate.wait })
    await using workspace = await Workspace.create()
    const doomed = await start(workspace, own.folder)
    const pull = doomedFetch(doomed, '/v2/orphan/manifests/latest')
    await gate.reached()
    await doomed.stop('SIGKILL')
    await pull
    try {
      await expect.poll(() => gate.builders(), { timeout: 20_000 }).toEqual([])
    } finally {
      await gate.open()
    }
  })
})

/** Returns the message of a pull that is answered with 503. */
async function unavailable(slipway: Slipway, reference = 'release-v1'): Promise<string> {
  const failed = await failedRequest(slipway, `/v2/jq/manifests/${reference}`)
  expect(failed).toMatchObject({ status: 503, retryAfter: expect.stringMatching(/^\d+$/) })
  return failed.message
}

/** Repeats a pull while its failure is remembered, which takes some seconds. Returns the image's digest. */
function digestAfterFailure(slipway: Slipway, reference = 'release-v1'): Promise<string> {
  return vi.waitFor(() => imageDigest(slipway, 'jq', reference), { timeout: 60_000, interval: 250 })
}

describe.concurrent('storage folder', () => {
  test('with a full storage folder a pull answers 503 and stores nothing, and succeeds when there is space', async () => {
    await using workspace = await Workspace.create()
    await using disk = await Disk.mount(workspace.storage, '2m')
    await using slipway = await start(workspace)
    expect(await unavailable(slipway)).toMatch(/cannot be packed .*: \d MiB are free there/)
    expect(await stagedIn(workspace.storage)).toEqual([])
    expect(await damageIn(workspace.storage)).toEqual([])
    await disk.remount('size=200m')
    expect(await digestAfterFailure(slipway)).toBe(digest)
  })

  test('with a read-only storage folder stored images are served, a new pull answers 503, and succeeds when it is writable', async () => {
    await using workspace = await Workspace.create()
    await using disk = await Disk.mount(workspace.storage, '200m')
    await using slipway = await start(workspace)
    await pull(slipway, 'hello', 'release-v1')
    await disk.remount('ro')
    expect(await unavailable(slipway)).toMatch(/read-only/)
    await pull(slipway, 'hello', 'release-v1')
    await disk.remount('rw')
    // The digest differs, because the planner has learned from hello.
    expect(await digestAfterFailure(slipway)).toMatch(/^sha256:/)
    expect(await damageIn(workspace.storage)).toEqual([])
  })
})

describe.concurrent('full state folder', () => {
  test('with a full state folder the start fails, and succeeds when there is space', async () => {
    await using workspace = await Workspace.create()
    await using disk = await Disk.mount(workspace.state, '32m')
    const settings = settingsOf(workspace, packages.folder)
    await disk.fill()
    const { code, stderr } = await Slipway.fail(settings)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^slipway: .*no space left on device/)
    await disk.empty()
    await using slipway = await Slipway.start(settings)
    expect(await imageDigest(slipway, 'jq', 'release-v1')).toBe(digest)
  })

  test('with a full state folder stored images are served, a new commit answers 503, and is served when there is space', async () => {
    await using own = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using disk = await Disk.mount(workspace.state, '32m')
    await using slipway = await Slipway.start(settingsOf(workspace, own.folder))
    expect(await imageDigest(slipway, 'jq', 'release-v1')).toBe(digest)
    await disk.fill()
    expect(await imageDigest(slipway, 'jq', 'release-v1')).toBe(digest)
    expect(await unavailable(slipway, 'release-v2')).toMatch(/no space left on device/i)
    await own.commit('custom-service/version', '3.0\n')
    await own.git('tag', 'release-v3')
    expect(await unavailable(slipway, 'release-v3')).toMatch(
      /git fetch failed.*no space left on device/i,
    )
    await disk.empty()
    expect(await digestAfterFailure(slipway, 'release-v2')).toBe(digest)
    expect(await digestAfterFailure(slipway, 'release-v3')).toBe(digest)
    expect(await damageIn(workspace.storage)).toEqual([])
  })
})
