import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { LayerPacker, packingFailure } from '../../service/adapters/layer-packer.ts'
import type { Compressor } from '../../service/adapters/packing/compressor.ts'
import { findCompressor } from '../../service/adapters/packing/compressor.ts'
import { packEntries, writeLayer } from '../../service/adapters/packing/pack-entries.ts'
import { ThreadPool } from '../../service/adapters/packing/thread-pool.ts'
import { storeEntries } from '../../service/adapters/tar/store-tree.ts'
import { Failure } from '../../service/domain/errors.ts'
import type { Compression } from '../../service/domain/keys.ts'

const hasIgzip = (await findCompressor('gzip')).method === 'igzip'
const methods: Compressor['method'][] = ['gzip', 'zstd', 'none']
if (hasIgzip) methods.push('igzip')

let folder: string
let store: string
let staging: string
let packers: LayerPacker[]
const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-packer-'))
  store = join(folder, 'store')
  staging = join(folder, 'staging')
  mkdirSync(join(store, 'a/bin'), { recursive: true })
  mkdirSync(join(store, 'b/bin'), { recursive: true })
  mkdirSync(staging)
  writeFileSync(join(store, 'a/bin/x'), Buffer.alloc(1_500_000, 'seven bytes and some more '))
  writeFileSync(join(store, 'b/bin/x'), 'b')
  writeFileSync(join(store, 'b/random'), createHash('sha512').update('seed').digest())
  packers = []
  vi.clearAllMocks()
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await Promise.all(packers.map((packer) => packer.close()))
  rmSync(folder, { recursive: true })
})

function packer(compression: Compression = 'gzip', concurrency = 2, storeFolder = store) {
  const made = new LayerPacker({ folder: staging, compression, concurrency, log, storeFolder })
  packers.push(made)
  return made
}

function compressor(method: Compressor['method']): Compressor {
  return { name: method, method }
}

function sha256sum(input: Buffer): string {
  return `sha256:${execFileSync('sha256sum', { input }).toString().slice(0, 64)}`
}

function decompress(bytes: Buffer): Buffer {
  const magic = bytes.subarray(0, 4).toString('hex')
  if (magic.startsWith('1f8b')) return gunzipSync(bytes)
  return magic === '28b52ffd' ? zstdDecompressSync(bytes) : bytes
}

function entries(...names: string[]) {
  return storeEntries(
    names.map((name) => `/nix/store/${name}`),
    store,
  )
}

/** Processes that this one has started and that are still running. */
function children(): string[] {
  const started = readdirSync('/proc/self/task').flatMap((task) => {
    const path = `/proc/self/task/${task}/children`
    return existsSync(path) ? readFileSync(path, 'utf8').split(' ').filter(Boolean) : []
  })
  return started.filter((id) => !/^State:\sZ/m.test(readFileSync(`/proc/${id}/status`, 'utf8')))
}

describe.for(methods)('compressed by %s', (method) => {
  test('digests and sizes are those of the file and of what is in it', async () => {
    const path = join(staging, 'layer')
    const layer = await packEntries(entries('a', 'b'), compressor(method), path)
    const bytes = readFileSync(path)
    const tar = decompress(bytes)
    expect(layer).toEqual({
      file: { path, size: bytes.length },
      digest: sha256sum(bytes),
      diffId: sha256sum(tar),
      tarSize: tar.length,
    })
    const listed = execFileSync('tar', ['-t'], { input: tar }).toString()
    expect(listed.split('\n')).toContain('nix/store/a/bin/x')
  })

  test('the same paths give the same bytes again', async () => {
    const paths = [1, 2].map((at) => join(staging, `layer-${at}`))
    for (const path of paths) await packEntries(entries('a', 'b'), compressor(method), path)
    const [one, two] = paths.map((path) => readFileSync(path))
    expect(one?.equals(two as Buffer)).toBe(true)
  })

  test('a path that cannot be read leaves no file and no process', async () => {
    const before = children()
    const path = join(staging, 'layer')
    const packing = packEntries(entries('a', 'absent'), compressor(method), path)
    await expect(packing).rejects.toThrow(/ENOENT.*absent/)
    expect(readdirSync(staging)).toEqual([])
    expect(children()).toEqual(before)
  })

  test('a disk that is full is an error, and leaves no process', async () => {
    const before = children()
    const full = openSync('/dev/full', 'w')
    const writing = writeLayer(entries('a', 'b'), compressor(method), full)
    await expect(writing).rejects.toMatchObject({ code: 'ENOSPC' })
    closeSync(full)
    expect(children()).toEqual(before)
  })
})

test('an existing file is never written to', async () => {
  const path = join(staging, 'layer')
  writeFileSync(path, 'mine')
  const packing = packEntries(entries('a'), compressor('none'), path)
  await expect(packing).rejects.toThrow(/EEXIST/)
  expect(readFileSync(path, 'utf8')).toBe('mine')
})

describe('the compressor', () => {
  test('without igzip it is zlib', async () => {
    vi.stubEnv('PATH', folder)
    expect(await findCompressor('gzip')).toEqual({ name: 'zlib gzip -1', method: 'gzip' })
  })

  test.runIf(hasIgzip)('with igzip there is neither time nor name in the file', async () => {
    const path = join(staging, 'layer')
    await packEntries(entries('a'), compressor('igzip'), path)
    expect(readFileSync(path).subarray(3, 8).toString('hex')).toBe('0000000000')
  })

  test.each([
    ['exit 3', 'igzip ended with exit code 3'],
    ['echo no such option >&2; exit 1', 'igzip ended with exit code 1: no such option'],
    ['head -c 1000; kill -9 $$', 'igzip ended with SIGKILL'],
  ])('that fails (%s) is an error that says how', async (script, message) => {
    const program = join(folder, 'igzip')
    writeFileSync(program, `#!/bin/sh\n${script}\n`)
    chmodSync(program, 0o755)
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
    expect(await findCompressor('gzip')).toMatchObject({ method: 'gzip' })
    const packing = packEntries(entries('a', 'b'), compressor('igzip'), join(staging, 'layer'))
    await expect(packing).rejects.toThrow(message)
    expect(readdirSync(staging)).toEqual([])
  })

  test('is not started for a small layer', async () => {
    vi.stubEnv('PATH', folder)
    const path = join(staging, 'layer')
    const layer = await packEntries(entries('b'), compressor('igzip'), path)
    vi.unstubAllEnvs()
    expect(layer.diffId).toBe(sha256sum(gunzipSync(readFileSync(path))))
  })

  test('that is not there is an error', async () => {
    vi.stubEnv('PATH', folder)
    const packing = packEntries(entries('a'), compressor('igzip'), join(staging, 'layer'))
    await expect(packing).rejects.toThrow(/igzip.*ENOENT/)
    expect(readdirSync(staging)).toEqual([])
  })
})

describe('LayerPacker', () => {
  test('packs store paths in a thread, whatever the order and the compression', async () => {
    const paths = ['/nix/store/a', '/nix/store/b']
    const layers = await Promise.all([
      packer('gzip').packStorePaths(paths),
      packer('zstd').packStorePaths(paths.toReversed()),
      packer('none').packStorePaths([...paths, ...paths]),
    ])
    expect(new Set(layers.map(({ diffId }) => diffId)).size).toBe(1)
    for (const { file, digest } of layers) {
      expect(sha256sum(readFileSync(file.path))).toBe(digest)
    }
    expect(readdirSync(staging)).toHaveLength(3)
  })

  test('says which compressor it uses', async () => {
    await packer('zstd').packStorePaths([])
    expect(log.info).toHaveBeenCalledWith({ compressor: 'zlib zstd -2' }, 'packing layers')
  })

  test('packs a forest, and says at debug level which package lost a file', async () => {
    const packages = ['b', 'a'].map((name) => {
      return { name, storePath: `/nix/store/${name}`, priority: 5, asked: true }
    })
    const layer = await packer('none').packForest({ packages, env: '/nix/store/a' })
    const listed = execFileSync('tar', ['-tvf', layer.file.path]).toString()
    expect(listed).toContain('bin/x -> /nix/store/a/bin/x')
    expect(listed).toContain('usr/bin/env -> /nix/store/a/bin/env')
    expect(listed).toMatch(/^drwxrwxrwt.* tmp\/$/m)
    const collision = { path: 'bin/x', kept: 'a', dropped: ['b'] }
    expect(log.debug.mock.calls).toEqual([[collision, 'several packages have the same file']])
  })

  test('a file whose reading fails is an error, and leaves no file', async () => {
    // A regular file that the system lets nobody read at offset 0.
    const packing = packer('gzip', 1, '/proc/self').packStorePaths(['/nix/store/mem'])
    await expect(packing).rejects.toThrow(/a layer could not be packed: EIO/)
    expect(readdirSync(staging)).toEqual([])
  })

  test('goes on after a failure', async () => {
    const one = packer('none', 1)
    await expect(one.packStorePaths(['/nix/store/absent'])).rejects.toThrow(/absent/)
    await expect(one.packStorePaths(['/etc/passwd'])).rejects.toThrow(/is not a store path/)
    await expect(one.packStorePaths(['/nix/store/a'])).resolves.toBeDefined()
  })

  test('a staging folder that is missing is named', async () => {
    rmSync(staging, { recursive: true })
    await expect(packer().packStorePaths(['/nix/store/a'])).rejects.toThrow(staging)
  })

  test('closing ends what is being packed, and leaves neither file nor process', async () => {
    const before = children()
    writeFileSync(join(store, 'a/large'), Buffer.alloc(50_000_000, 'large '))
    const one = packer('gzip', 1)
    const packing = [1, 2, 3].map(() => one.packStorePaths(['/nix/store/a']))
    const settled = Promise.allSettled(packing)
    await vi.waitUntil(() => readdirSync(staging).length > 0)
    await one.close()
    expect((await settled).some(({ status }) => status === 'rejected')).toBe(true)
    const kept = (await settled).filter(({ status }) => status === 'fulfilled')
    expect(readdirSync(staging)).toHaveLength(kept.length)
    await vi.waitUntil(() => children().length === before.length)
  })
})

test.each([
  ['ENOSPC', 'no space is left'],
  ['EDQUOT', 'quota'],
  ['EROFS', 'read-only'],
])('%s is a failure of the storage that names the folder', (code, reason) => {
  const failure = packingFailure({ ok: false, message: `${code}: write`, code }, '/var/staging')
  expect(failure).toBeInstanceOf(Failure)
  expect(failure).toMatchObject({ kind: 'unavailable', retryAfter: 30 })
  expect(failure.message).toContain('/var/staging')
  expect(failure.message).toContain(reason)
})

describe('ThreadPool', () => {
  function job(name: string) {
    const content = { kind: 'store-paths', paths: ['/nix/store/a'] } as const
    const path = join(staging, name)
    return { content, storeFolder: store, compressor: compressor('none'), path }
  }

  test('has no more threads than it may, and uses them again', async () => {
    const pool = new ThreadPool(2)
    const outcomes = Promise.all(['1', '2', '3', '4', '5'].map((name) => pool.run(job(name))))
    await vi.waitUntil(() => pool.size > 0)
    expect(pool.size).toBeLessThanOrEqual(2)
    expect((await outcomes).every(({ ok }) => ok)).toBe(true)
    expect(pool.size).toBe(2)
    await pool.run(job('6'))
    expect(pool.size).toBe(2)
    await pool.close()
    expect(pool.size).toBe(0)
    expect(await pool.run(job('7'))).toMatchObject({ ok: false })
  })

  test('lets go of threads that have nothing to do', async () => {
    const pool = new ThreadPool(1, 10)
    await pool.run(job('1'))
    await vi.waitUntil(() => pool.size === 0)
    expect(await pool.run(job('2'))).toMatchObject({ ok: true })
    await pool.close()
  })
})
