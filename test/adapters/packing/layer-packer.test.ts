import { execFileSync } from 'node:child_process'
import { createHash, randomBytes, randomFillSync } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Compressor } from '../../../service/adapters/packing/compressor.ts'
import { findCompressor } from '../../../service/adapters/packing/compressor.ts'
import { IsaL } from '../../../service/adapters/packing/isa-l.ts'
import type { Job } from '../../../service/adapters/packing/job.ts'
import { LayerPacker, packingFailure } from '../../../service/adapters/packing/layer-packer.ts'
import { type FindLibrary, findLibrary } from '../../../service/adapters/packing/native-library.ts'
import { packEntries, writeLayer } from '../../../service/adapters/packing/pack-entries.ts'
import { SharedPieces } from '../../../service/adapters/packing/shared-pieces.ts'
import { ThreadPool } from '../../../service/adapters/packing/thread-pool.ts'
import { storeEntries } from '../../../service/adapters/tar/store-tree.ts'
import { Failure } from '../../../service/image/errors.ts'
import type { Compression } from '../../../service/image/keys.ts'

const nothing: FindLibrary = async () => undefined
/** With the libraries of this machine, and without any. */
const compressors: Compressor[] = []
for (const kind of ['gzip', 'zstd'] as const) {
  compressors.push(await findCompressor(kind), await findCompressor(kind, nothing))
}
const isaL = await IsaL.find(findLibrary)
const none = await findCompressor('none')
const gzip = await findCompressor('gzip')

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

describe.for([...compressors, none])('compressed by $name', (compressor) => {
  test('digests and sizes are those of the file and of what is in it', () => {
    const path = join(staging, 'layer')
    const layer = packEntries(entries('a', 'b'), compressor, path, { md5: true })
    const bytes = readFileSync(path)
    const tar = decompress(bytes)
    const md5 = createHash('md5').update(bytes).digest('base64')
    expect(layer).toEqual({
      file: { path, size: bytes.length, md5 },
      digest: sha256sum(bytes),
      diffId: sha256sum(tar),
      tarSize: tar.length,
    })
    const listed = execFileSync('tar', ['-t'], { input: tar }).toString()
    expect(listed.split('\n')).toContain('nix/store/a/bin/x')
  })

  test('the same paths give the same bytes again', () => {
    const paths = [1, 2].map((at) => join(staging, `layer-${at}`))
    for (const path of paths) packEntries(entries('a', 'b'), compressor, path)
    const [one, two] = paths.map((path) => readFileSync(path))
    expect(one?.equals(two as Buffer)).toBe(true)
  })

  test('what cannot be compressed is kept whole', () => {
    const bytes = randomBytes(1_000_003)
    writeFileSync(join(store, 'b/random'), bytes)
    const path = join(staging, 'layer')
    packEntries(entries('b'), compressor, path)
    expect(decompress(readFileSync(path)).includes(bytes)).toBe(true)
  })

  test('a path that cannot be read leaves no file', () => {
    const path = join(staging, 'layer')
    expect(() => packEntries(entries('a', 'absent'), compressor, path)).toThrow(/ENOENT.*absent/)
    expect(readdirSync(staging)).toEqual([])
  })

  test('a disk that is full is an error', () => {
    const full = openSync('/dev/full', 'w')
    const failure = expect.objectContaining({ code: 'ENOSPC' })
    expect(() => writeLayer(entries('a', 'b'), compressor, full)).toThrow(failure)
    closeSync(full)
  })
})

test('an existing file is never written to', () => {
  const path = join(staging, 'layer')
  writeFileSync(path, 'mine')
  expect(() => packEntries(entries('a'), none, path)).toThrow(/EEXIST/)
  expect(readFileSync(path, 'utf8')).toBe('mine')
})

describe('the compressor', () => {
  test('is a library where there is one, else zlib', async () => {
    expect(compressors.map(({ name }) => name)).toEqual([
      expect.stringMatching(/^(isa-l|zlib) gzip -1$/),
      'zlib gzip -1',
      'libzstd zstd -2',
      'zlib zstd -2',
    ])
  })

  // ISA-L hashes an address of its own in the place of the third position, see isa-l.ts.
  test('makes the same of a piece wherever its memory is', async () => {
    const others = await Promise.all(Array.from({ length: 8 }, () => findCompressor('gzip')))
    const different: number[] = []
    for (let seed = 0; seed < 3000; seed += 1) {
      // It repeats its start, so each of the first positions is looked up again.
      const start = createHash('sha256').update(`${seed}`).digest()
      const piece = Buffer.alloc(4096, start.subarray(0, 30))
      const expected = Buffer.from(gzip.compress(piece))
      if (others.some(({ compress }) => !expected.equals(compress(piece)))) different.push(seed)
    }
    for (const { close } of others) close?.()
    expect(different).toEqual([])
  })

  test.runIf(isaL)('of ISA-L gives its memory back, and then takes no more pieces', () => {
    isaL?.close()
    isaL?.close()
    expect(() => isaL?.gzip(Buffer.alloc(1000))).toThrow('this memory has been given back')
  })

  test('puts neither time nor name into the file', () => {
    const path = join(staging, 'layer')
    packEntries(entries('a'), gzip, path)
    expect(readFileSync(path).subarray(3, 8).toString('hex')).toBe('0000000000')
  })
})

describe('a library', () => {
  test('that is not on this machine is not found', async () => {
    expect(await findLibrary('libabsent.so.9', () => 'made')).toBeUndefined()
  })

  test('that is not what it should be is not used', async () => {
    const found = await findLibrary('libm.so.6', (library) => library.func('absent', 'int', []))
    expect(found).toBeUndefined()
  })

  test('may be beside the programs of the PATH', async () => {
    mkdirSync(join(folder, 'lib'))
    const maps = readFileSync('/proc/self/maps', 'utf8')
    const [system] = /\/.*\/libm[.-].*$/m.exec(maps) ?? ['']
    copyFileSync(system, join(folder, 'lib/libcopy.so.2'))
    const find = (path: string) => findLibrary('libcopy.so.2', () => 'made', path)
    expect(await find('/bin')).toBeUndefined()
    expect(await find(`/bin:${folder}/bin`)).toBe('made')
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
    expect(log.info).toHaveBeenCalledWith({ compressor: 'libzstd zstd -2' }, 'packing layers')
  })

  test('packs a linkFarm, and says at debug level which package lost a file', async () => {
    const packages = ['b', 'a'].map((name) => {
      return { name, storePath: `/nix/store/${name}`, priority: 5, isRequested: true }
    })
    const layer = await packer('none').packLinkFarm({ packages, env: '/nix/store/a' })
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

  test('closing ends what is being packed, and leaves no file', async () => {
    writeFileSync(join(store, 'a/large'), Buffer.alloc(50_000_000, 'large '))
    const one = packer('gzip', 1)
    const packing = [1, 2, 3].map(() => one.packStorePaths(['/nix/store/a']))
    const settled = Promise.allSettled(packing)
    await vi.waitUntil(() => readdirSync(staging).length > 0)
    await one.close()
    expect((await settled).some(({ status }) => status === 'rejected')).toBe(true)
    const kept = (await settled).filter(({ status }) => status === 'fulfilled')
    expect(readdirSync(staging)).toHaveLength(kept.length)
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

test('pieces that nobody begins, or whose helper fails, are compressed by their owner', () => {
  const pieces = new SharedPieces()
  const fill = (text: string) => pieces.put(pieces.room.write(text))
  const upper = (piece: Buffer) => Buffer.from(piece.toString().toUpperCase())
  fill('one')
  fill('two')
  expect(pieces.take(upper).toString()).toBe('ONE')
  const helper = new SharedPieces(pieces.memory, pieces.layer)
  const broken = () => {
    throw new Error('broken')
  }
  expect(() => helper.help(broken)).toThrow('broken')
  expect(pieces.hasHelpers).toBe(false)
  expect(pieces.take(upper).toString()).toBe('TWO')
  fill('three')
  // It leaves as soon as it has done what there is.
  helper.help((piece) => {
    pieces.close()
    return upper(piece)
  })
  expect(pieces.take(() => Buffer.from('not again')).toString()).toBe('THREE')
  expect(pieces.size).toBe(0)
})

test('a layer whose helper has died fails, and helpers of one that is over leave at once', () => {
  const pieces = new SharedPieces()
  pieces.put(pieces.room.write('one'))
  pieces.close()
  const late = new SharedPieces(pieces.memory, pieces.layer)
  late.help(() => {
    throw new Error('it should have left')
  })
  const next = new SharedPieces(pieces.memory)
  expect(next.layer).toBe(pieces.layer + 1)
  expect([pieces.isOpen, next.isOpen]).toEqual([false, true])
  const died = new SharedPieces()
  died.helperDied()
  // Nobody has begun with it, and nobody will end it.
  expect(() => died.take((piece) => piece)).toThrow('a thread that helped has died')
})

describe('ThreadPool', () => {
  const equipment = { compression: 'none' } as const

  function job(name: string) {
    const content = { kind: 'store-paths', paths: ['/nix/store/a'] } as const
    const path = join(staging, name)
    return { content, storeFolder: store, path }
  }

  test('has no more threads than it may, and uses them again', async () => {
    const pool = new ThreadPool({ concurrency: 2, equipment })
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

  describe('with a large layer', () => {
    const zstd = { compression: 'zstd' } as const
    /** Bytes of which a thread is busy for a while. */
    const size = 200_000_000
    const large = (name: string): Job => {
      return {
        content: { kind: 'store-paths', paths: ['/nix/store/large'] },
        storeFolder: store,
        path: join(staging, name),
      }
    }

    beforeEach(() => {
      const mixed = Buffer.alloc(1_000_000, 'large ')
      randomFillSync(mixed, 0, 500_000)
      for (let at = 0; at < size; at += mixed.length) appendFileSync(join(store, 'large'), mixed)
    })

    test('has an idle thread help, and makes the same of it', async () => {
      const alone = new ThreadPool({ concurrency: 1, equipment: zstd })
      await alone.run(large('alone'))
      const pool = new ThreadPool({ concurrency: 2, equipment: zstd })
      await Promise.all(['1', '2'].map((name) => pool.run(job(name))))
      const packing = pool.run(large('together'))
      await vi.waitUntil(() => pool.helping === 1, { interval: 1 })
      expect(await packing).toMatchObject({ ok: true })
      const [one, other] = ['alone', 'together'].map((name) => readFileSync(join(staging, name)))
      expect(one?.equals(other as Buffer)).toBe(true)
      await vi.waitUntil(() => pool.helping === 0)
      await Promise.all([alone.close(), pool.close()])
    })

    test('has a helper leave for a job of its own, and come back', async () => {
      const pool = new ThreadPool({ concurrency: 2, equipment: zstd })
      await Promise.all(['1', '2'].map((name) => pool.run(job(name))))
      let isPacked = false
      const packing = pool.run(large('large')).then((outcome) => {
        isPacked = true
        return outcome
      })
      await vi.waitUntil(() => pool.helping === 1, { interval: 1 })
      expect(await pool.run(job('small'))).toMatchObject({ ok: true })
      expect(isPacked).toBe(false)
      expect(pool.helping).toBe(1)
      expect(await packing).toMatchObject({ ok: true })
      await pool.close()
    })

    test('has at most seven helpers, and goes on when there are more threads', async () => {
      const pool = new ThreadPool({ concurrency: 9, equipment: zstd })
      await Promise.all(Array.from({ length: 9 }, (_, at) => pool.run(job(`${at}`))))
      const packing = pool.run(large('crowded'))
      await vi.waitUntil(() => pool.helping > 0, { interval: 1 })
      expect(pool.helping).toBeLessThanOrEqual(7)
      expect(await packing).toMatchObject({ ok: true })
      await pool.close()
    })

    test('that fails, or is ended, is left by its helper', async () => {
      const pool = new ThreadPool({ concurrency: 2, equipment: zstd })
      await Promise.all(['1', '2'].map((name) => pool.run(job(name))))
      const failing = pool.run(large('failing'))
      await vi.waitUntil(() => pool.helping === 1, { interval: 1 })
      truncateSync(join(store, 'large'), 1)
      expect(await failing).toMatchObject({ ok: false, message: expect.stringMatching(/changed/) })
      expect(await pool.run(job('after'))).toMatchObject({ ok: true })
      appendFileSync(join(store, 'large'), Buffer.alloc(size))
      const ended = pool.run(large('ended'))
      await vi.waitUntil(() => pool.helping === 1, { interval: 1 })
      await pool.close()
      expect(await ended).toMatchObject({ ok: false })
    })
  })

  test('lets go of threads that have nothing to do', async () => {
    const pool = new ThreadPool({ concurrency: 1, equipment, idleTime: 10 })
    await pool.run(job('1'))
    await vi.waitUntil(() => pool.size === 0)
    expect(await pool.run(job('2'))).toMatchObject({ ok: true })
    await pool.close()
  })
})
