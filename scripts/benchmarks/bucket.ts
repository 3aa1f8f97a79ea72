/**
 * Counts the requests of a service to its bucket, by kind, and their bytes. Compares a large upload with
 * curl's upload of the same bytes to the same server. The bucket is the tests' emulator, as a process of its
 * own.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GcsStore } from '../../service/adapters/gcs/gcs-store.ts'
import { PackageSet } from '../../test/support/package-set.ts'
import { Slipway, Workspace } from '../../test/support/slipway.ts'
import type { Bench } from './bench.ts'
import { type BucketRequest, startEmulator } from './emulator-process.ts'
import { run } from './processes.ts'
import { spreadOf } from './statistics.ts'
import type { Table } from './table.ts'

const image = 'shell/git/jq/custom-service'
const megabyte = 1024 * 1024
/** Bytes of the upload. */
const uploadSize = 200 * megabyte
/** Milliseconds that the service may go on writing after a response. */
const writingTime = 500

export async function measureBucket(bench: Bench): Promise<Table> {
  await using packages = await PackageSet.create()
  await using workspace = await Workspace.create()
  await using emulator = await startEmulator(join(bench.scratch, 'bucket-key.json'))
  const settings = {
    ...workspace.settings(packages.folder),
    ...emulator.settings,
    SLIPWAY_PREBUILD_TAGS: 'none',
    SLIPWAY_PREBUILD_BRANCHES: 'none',
  }
  const rows: string[][] = []
  await using slipway = await Slipway.start(settings)
  const count = async (what: string, work: () => Promise<unknown>) => {
    await emulator.control('reset-ledger')
    const start = performance.now()
    await work()
    const milliseconds = performance.now() - start
    await sleep(writingTime)
    rows.push(cellsOf(what, await emulator.requests(), milliseconds))
  }
  // Both releases are in the Nix store, so that only the bucket is measured.
  await packages.git('checkout', '--quiet', 'release-v1')
  const pull = async (on: Slipway, tag: string) => {
    const manifest = await on.fetch(`/v2/${image}/manifests/${tag}`)
    if (manifest.status !== 200) throw new Error(await manifest.text())
    const { layers } = (await manifest.json()) as { layers: { digest: string }[] }
    for (const { digest } of layers) {
      await on.fetch(`/v2/${image}/blobs/${digest}`, { redirect: 'manual' })
    }
    return layers.length
  }
  let layers = 0
  await count('first build', async () => {
    layers = await pull(slipway, 'release-v1')
  })
  rows.at(-1)?.splice(0, 1, `first build, ${layers} layers`)
  await count('warm pull of the same image', () => pull(slipway, 'release-v1'))
  await count('release in which one package changed', () => pull(slipway, 'release-v2'))
  await slipway.stop()
  await using other = await Slipway.start(settings)
  await count('first pull after a restart', () => pull(other, 'release-v1'))
  await count('second pull after a restart', () => pull(other, 'release-v1'))
  rows.push(await compareWithCurl(bench, emulator))
  return { header: ['what', 'requests', 'kinds', 'sent', 'received', 'ms'], rows }
}

function cellsOf(what: string, requests: readonly BucketRequest[], milliseconds: number): string[] {
  const counts = new Map<string, number>()
  for (const { kind, key = '' } of requests) {
    const name = `${kind} ${key.split('/')[0]}`.trim()
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const kinds = [...counts].sort(([, a], [, b]) => b - a).map(([name, times]) => `${times} ${name}`)
  const sum = (of: (request: BucketRequest) => number) =>
    `${(requests.reduce((all, request) => all + of(request), 0) / 1e6).toFixed(2)} MB`
  return [
    what,
    String(requests.length),
    kinds.join(', ') || 'none',
    sum(({ bytesIn }) => bytesIn),
    sum(({ bytesOut }) => bytesOut),
    milliseconds.toFixed(0),
  ]
}

async function compareWithCurl(
  bench: Bench,
  emulator: Awaited<ReturnType<typeof startEmulator>>,
): Promise<string[]> {
  const folder = join(bench.scratch, 'upload')
  const source = join(folder, 'content')
  await mkdir(folder, { recursive: true })
  const hash = createHash('md5')
  await using file = await open(source, 'w')
  for (let at = 0; at < uploadSize; at += 16 * megabyte) {
    const piece = randomBytes(Math.min(16 * megabyte, uploadSize - at))
    hash.update(piece)
    await file.write(piece)
  }
  const md5 = hash.digest('base64')
  for await (const _ of createReadStream(source)) {
    // Reads the file into the page cache.
  }
  process.env.GOOGLE_APPLICATION_CREDENTIALS = emulator.settings.GOOGLE_APPLICATION_CREDENTIALS
  const silentLog = { debug() {}, info() {}, warn() {}, error() {} }
  const store = await GcsStore.open({
    bucket: emulator.bucket,
    credentialsPath: emulator.settings.GOOGLE_APPLICATION_CREDENTIALS,
    signByIam: false,
    redirect: true,
    endpoint: new URL(emulator.url),
    stagingFolder: resolve(folder, 'staging'),
    log: silentLog,
  })
  const own: number[] = []
  const ratios: number[] = []
  for (let times = 0; times < bench.runs; times++) {
    const path = join(store.stagingFolder, 'layer')
    await copyFile(source, path)
    const start = performance.now()
    await store.put(`blobs/own-${times}`, { path, size: uploadSize, md5 })
    const milliseconds = performance.now() - start
    const address = `${emulator.url}/upload/storage/v1/b/${emulator.bucket}/o?uploadType=media&name=curl-${times}`
    const curlStart = performance.now()
    const args = ['--silent', '--fail', '--output', '/dev/null', '--data-binary', `@${source}`]
    await run('curl', [...args, address], bench)
    own.push(milliseconds)
    ratios.push((performance.now() - curlStart) / milliseconds)
  }
  store.close()
  const { median, least, most } = spreadOf(ratios)
  const ratio = `${median.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`
  return [
    `upload of 200 MB; throughput divided by that of curl --data-binary: ${ratio}`,
    '2',
    '1 upload-start, 1 upload',
    `${(uploadSize / 1e6).toFixed(0)} MB`,
    '',
    spreadOf(own).median.toFixed(0),
  ]
}
