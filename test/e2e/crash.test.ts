/** Sudden ends and full disks: nothing partial is ever visible, and the next pull works. */
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { faultsOf, stagedIn } from '../support/storage.ts'

const run = promisify(execFile)
const image = '/v2/shell/jq/manifests/release-v1'

let packages: PackageSet
/** Milliseconds that a build takes when its packages are in the Nix store. */
let usual: number
let digest: string | null

beforeAll(async () => {
  packages = await PackageSet.create()
  for (const _ of ['to have Nix build', 'to measure']) {
    await using workspace = await Workspace.create()
    await using slipway = await Slipway.start(workspace.settings(packages.folder))
    const start = performance.now()
    const response = await slipway.fetch(image)
    expect(response.status).toBe(200)
    digest = response.headers.get('Docker-Content-Digest')
    await response.text()
    usual = performance.now() - start
  }
})
afterAll(() => packages?.[Symbol.asyncDispose]())

describe('kill -9', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
    'after %i tenths of a build loses nothing but the build',
    async (tenths) => {
      await using workspace = await Workspace.create()
      const settings = workspace.settings(packages.folder)
      const doomed = await Slipway.start(settings)
      const pull = doomed.fetch(image).then(
        (response) => response.text(),
        () => 'cut',
      )
      await sleep((usual * tenths) / 10)
      expect(await doomed.stop('SIGKILL')).toBe('SIGKILL')
      await pull
      expect(await faultsOf(workspace.storage)).toEqual([])
      await using slipway = await Slipway.start(settings)
      expect(await stagedIn(workspace.storage)).toEqual([])
      const response = await slipway.fetch(image)
      expect(response.status).toBe(200)
      expect(response.headers.get('Docker-Content-Digest')).toBe(digest)
      await response.text()
      expect(await faultsOf(workspace.storage)).toEqual([])
    },
  )
})

describe('a storage folder', () => {
  /** A workspace whose storage is a file system of its own. */
  async function limited(size: string): Promise<Workspace> {
    const workspace = await Workspace.create()
    await mkdir(workspace.storage)
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'slipway-test', workspace.storage])
    return workspace
  }
  const remount = (workspace: Workspace, options: string) =>
    run('mount', ['-o', `remount,${options}`, workspace.storage])

  async function refusal(slipway: Slipway): Promise<string> {
    const response = await slipway.fetch(image)
    expect(response.status).toBe(503)
    expect(response.headers.get('Retry-After')).toMatch(/^\d+$/)
    return ((await response.json()) as { errors: { message: string }[] }).errors[0]?.message ?? ''
  }

  /** The requests of one pull share a failure for some seconds; then the cause is gone. */
  const pulled = (slipway: Slipway) =>
    expect
      .poll(
        async () => {
          const response = await slipway.fetch(image)
          await response.text()
          return response.headers.get('Docker-Content-Digest')
        },
        { timeout: 30_000, interval: 500 },
      )
      .toBe(digest)

  test('that is full refuses the pull clearly, keeps nothing partial, and works when there is room', async () => {
    await using workspace = await limited('5m')
    try {
      await using slipway = await Slipway.start(workspace.settings(packages.folder))
      expect(await refusal(slipway)).toMatch(/no space/)
      expect(await stagedIn(workspace.storage)).toEqual([])
      expect(await faultsOf(workspace.storage)).toEqual([])
      await remount(workspace, 'size=200m')
      await pulled(slipway)
    } finally {
      await run('umount', [workspace.storage])
    }
  })

  test('that is read-only refuses the pull clearly, serves what it has, and works when it is writable', async () => {
    await using workspace = await limited('200m')
    try {
      await using slipway = await Slipway.start(workspace.settings(packages.folder))
      const stored = await slipway.fetch('/v2/hello/manifests/release-v1')
      const { layers } = (await stored.json()) as { layers: { digest: string }[] }
      await remount(workspace, 'ro')
      expect(await refusal(slipway)).toMatch(/read-only/)
      const blob = await slipway.fetch(`/v2/hello/blobs/${layers[0]?.digest}`)
      expect(blob.status).toBe(200)
      expect((await blob.arrayBuffer()).byteLength).toBeGreaterThan(0)
      await remount(workspace, 'rw')
      await pulled(slipway)
      expect(await faultsOf(workspace.storage)).toEqual([])
    } finally {
      await run('umount', [workspace.storage])
    }
  })
})
