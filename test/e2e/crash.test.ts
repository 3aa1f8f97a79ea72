/** Sudden ends and full disks: nothing partial is ever visible, and the next pull works. */
import { setTimeout as sleep } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuildProgress, buildProgress } from '../support/build-progress.ts'
import { Disk } from '../support/disk.ts'
import { PackageSet } from '../support/package-set.ts'
import { processesWith } from '../support/processes.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { faultsOf, stagedIn } from '../support/storage.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const image = '/v2/jq/manifests/release-v1'

let packages: PackageSet
/** Shared, so that most of the services here start in half the time. */
let compiled: TemporaryFolder
/** What a whole build of the image leaves. */
let whole: BuildProgress
let digest: string | null

beforeAll(async () => {
  packages = await PackageSet.create()
  compiled = await TemporaryFolder.create()
  await using workspace = await Workspace.create()
  await using slipway = await start(workspace)
  const response = await slipway.fetch(image)
  expect(response.status, await response.text()).toBe(200)
  digest = response.headers.get('Docker-Content-Digest')
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

/** A request whose service will not live to answer it. */
const doomedFetch = (slipway: Slipway, path: string) =>
  slipway.fetch(path).then(
    (response) => response.text(),
    () => 'cut',
  )

describe('kill -9', () => {
  const isPacking = ({ packing, images }: BuildProgress) => packing > 0 && images === 0
  /** After the last layer, before the record that makes the image visible. */
  const isPublishing = ({ layers, images }: BuildProgress) =>
    layers === whole.layers && images === 0

  test.each<[moment: string, isNow: (progress: BuildProgress) => boolean]>([
    ['the tree of the commit is exported', ({ exported }) => exported > 0],
    ['it is in the Nix store', ({ sources }) => sources > 0],
    ['its packages are held there', ({ held }) => held > 0],
    ['the plan is recorded', ({ plans }) => plans > 0],
    ['the first layers are packed', (now) => isPacking(now) && now.blobs === 0],
    ['a layer is stored and not recorded', ({ blobs, layers }) => blobs > layers],
    ['half of the layers are recorded', (now) => isPacking(now) && now.layers >= whole.layers / 2],
    ['all layers are recorded', isPublishing],
    ['the config is stored', (now) => isPublishing(now) && now.blobs > whole.layers],
    ['the image is recorded', ({ images }) => images > 0],
  ])('when %s loses nothing but the build', async (_moment, isNow) => {
    await using workspace = await killedWhen(isNow)
    expect(await faultsOf(workspace.storage)).toEqual([])
    await using slipway = await start(workspace)
    expect(await stagedIn(workspace.storage)).toEqual([])
    const response = await slipway.fetch(image)
    expect(response.status, await response.text()).toBe(200)
    expect(response.headers.get('Docker-Content-Digest')).toBe(digest)
    expect(await faultsOf(workspace.storage)).toEqual([])
    expect(buildProgress(workspace)).toMatchObject({ blobs: whole.blobs, packing: 0 })
  })

  /** Attempts to hit a moment of some milliseconds, before it counts as gone from the service. */
  const attempts = 10

  /** What a service left that was killed at this moment of its first build. */
  async function killedWhen(isNow: (progress: BuildProgress) => boolean): Promise<Workspace> {
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const workspace = await Workspace.create()
      const doomed = await start(workspace)
      const pull = doomedFetch(doomed, image)
      // It does not go on while it is looked at, so that looking takes no part of the moment.
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
      // What counts is what the dead service left: stopping takes a moment, too.
      if (isNow(buildProgress(workspace))) return workspace
      await workspace[Symbol.asyncDispose]()
    }
    throw new Error(`the service was not met at this moment in ${attempts} builds`)
  }
})

describe.concurrent('kill -9 while Nix builds', () => {
  /** Seconds that a builder sleeps, as no other process does: it shows in the arguments. */
  const duration = (seconds: number, name: string) => `${seconds}.${process.pid}${name.length}`

  test('shows nobody half of a package', async ({ expect }) => {
    const pause = duration(4, 'half')
    await using own = await PackageSet.create()
    await own.add('half', `mkdir $out; echo 1 >$out/first; sleep ${pause}; echo 2 >$out/last`)
    await using workspace = await Workspace.create()
    const path = '/v2/half/manifests/latest'
    const doomed = await start(workspace, own.folder)
    const pull = doomedFetch(doomed, path)
    await expect.poll(() => processesWith(pause), { timeout: 20_000 }).not.toEqual([])
    expect(await doomed.stop('SIGKILL')).toBe('SIGKILL')
    expect(await pull).toBe('cut')
    expect(await faultsOf(workspace.storage)).toEqual([])
    expect(buildProgress(workspace)).toMatchObject({ blobs: 0, images: 0 })
    await using slipway = await start(workspace, own.folder)
    const response = await slipway.fetch(path)
    const manifest = (await response.json()) as { layers: { digest: string }[] }
    expect(response.status, JSON.stringify(manifest)).toBe(200)
    const files: string[] = []
    for (const layer of manifest.layers) {
      const blob = await slipway.fetch(`/v2/half/blobs/${layer.digest}`)
      const tar = zstdDecompressSync(await blob.arrayBuffer()).toString('latin1')
      files.push(...(tar.match(/(?<=-half\/)\w+/g) ?? []))
    }
    expect(files).toEqual(expect.arrayContaining(['first', 'last']))
    expect(await faultsOf(workspace.storage)).toEqual([])
    expect(await processesWith(pause)).toEqual([])
  })

  test('leaves no builder behind', async ({ expect }) => {
    const pause = duration(30, 'orphan')
    await using own = await PackageSet.create()
    await own.add('orphan', `sleep ${pause}`)
    await using workspace = await Workspace.create()
    const doomed = await start(workspace, own.folder)
    const pull = doomedFetch(doomed, '/v2/orphan/manifests/latest')
    await expect.poll(() => processesWith(pause), { timeout: 20_000 }).not.toEqual([])
    await doomed.stop('SIGKILL')
    await pull
    try {
      await expect.poll(() => processesWith(pause), { timeout: 5000 }).toEqual([])
    } finally {
      // `sh` and its `sleep`: Nix then ends by itself.
      for (const line of await processesWith(pause)) process.kill(Number.parseInt(line, 10))
    }
  })
})

/** Why a pull was refused, for now. */
async function refusal(slipway: Slipway, path = image): Promise<string> {
  const response = await slipway.fetch(path)
  expect(response.status).toBe(503)
  expect(response.headers.get('Retry-After')).toMatch(/^\d+$/)
  return ((await response.json()) as { errors: { message: string }[] }).errors[0]?.message ?? ''
}

/** The requests of one pull share a failure for some seconds; then the cause is gone. */
async function pulled(slipway: Slipway, path = image): Promise<string | null> {
  for (const deadline = Date.now() + 30_000; ; await sleep(250)) {
    const response = await slipway.fetch(path)
    const text = await response.text()
    if (response.status === 200) return response.headers.get('Docker-Content-Digest')
    if (Date.now() > deadline) throw new Error(`${path}: ${response.status} ${text}`)
  }
}

describe.concurrent('a storage folder', () => {
  test('that is full refuses the pull clearly, keeps nothing partial, and works when there is room', async () => {
    await using workspace = await Workspace.create()
    await using disk = await Disk.mount(workspace.storage, '2m')
    await using slipway = await start(workspace)
    expect(await refusal(slipway)).toMatch(/cannot be packed .*: \d MiB are free there/)
    expect(await stagedIn(workspace.storage)).toEqual([])
    expect(await faultsOf(workspace.storage)).toEqual([])
    await disk.remount('size=200m')
    expect(await pulled(slipway)).toBe(digest)
  })

  test('that is read-only refuses the pull clearly, serves what it has, and works when it is writable', async () => {
    await using workspace = await Workspace.create()
    await using disk = await Disk.mount(workspace.storage, '200m')
    await using slipway = await start(workspace)
    const stored = await slipway.fetch('/v2/hello/manifests/release-v1')
    const { layers } = (await stored.json()) as { layers: { digest: string }[] }
    await disk.remount('ro')
    expect(await refusal(slipway)).toMatch(/read-only/)
    const blob = await slipway.fetch(`/v2/hello/blobs/${layers[0]?.digest}`)
    expect(blob.status).toBe(200)
    expect((await blob.arrayBuffer()).byteLength).toBeGreaterThan(0)
    await disk.remount('rw')
    // How it is cut depends on what is known by now: of hello.
    expect(await pulled(slipway)).toMatch(/^sha256:/)
    expect(await faultsOf(workspace.storage)).toEqual([])
  })
})

describe.concurrent('a state folder that is full', () => {
  test('ends the service at its start with the reason; it starts when there is room', async () => {
    await using workspace = await Workspace.create()
    await using disk = await Disk.mount(workspace.state, '32m')
    const settings = settingsOf(workspace, packages.folder)
    await disk.fill()
    const { code, stderr } = await Slipway.fail(settings)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^slipway: .*no space left on device/)
    await disk.empty()
    await using slipway = await Slipway.start(settings)
    expect(await pulled(slipway)).toBe(digest)
  })

  test('refuses what needs a new commit clearly, serves what it has, and works when there is room', async () => {
    await using own = await PackageSet.create()
    await using workspace = await Workspace.create()
    await using disk = await Disk.mount(workspace.state, '32m')
    await using slipway = await Slipway.start(settingsOf(workspace, own.folder))
    expect(await pulled(slipway)).toBe(digest)
    await disk.fill()
    expect(await pulled(slipway)).toBe(digest)
    const release = '/v2/jq/manifests/release-v2'
    expect(await refusal(slipway, release)).toMatch(/no space left on device/i)
    await own.commit('custom-service/version', '3.0\n')
    await own.git('tag', 'release-v3')
    const fresh = '/v2/jq/manifests/release-v3'
    expect(await refusal(slipway, fresh)).toMatch(/git fetch failed.*no space left on device/i)
    await disk.empty()
    expect(await pulled(slipway, release)).toBe(digest)
    expect(await pulled(slipway, fresh)).toBe(digest)
    expect(await faultsOf(workspace.storage)).toEqual([])
  })
})
