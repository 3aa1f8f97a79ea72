import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { LayerPacker, packingError } from '../../../service/adapters/packing/layer-packer.ts'
import { Failure } from '../../../service/image/errors.ts'
import type { Compression } from '../../../service/image/keys.ts'
import { PackingFolder } from '../../support/packing-folder.ts'

let folder: PackingFolder
let packers: LayerPacker[]
const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }

beforeEach(() => {
  folder = new PackingFolder()
  packers = []
  vi.clearAllMocks()
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await Promise.all(packers.map((packer) => packer.close()))
  folder[Symbol.dispose]()
})

interface PackerOptions {
  readonly compression?: Compression
  readonly concurrency?: number
  readonly storeFolder?: string
}

function createPacker(options: PackerOptions = {}): LayerPacker {
  const { compression = 'gzip', concurrency = 2, storeFolder = folder.store } = options
  const packer = new LayerPacker({
    ...{ compression, concurrency, storeFolder, log },
    folder: folder.staging,
  })
  packers.push(packer)
  return packer
}

test('a layer has the same diff id whatever the order of its paths and the compression', async () => {
  const paths = ['/nix/store/a', '/nix/store/b']
  const layers = await Promise.all([
    createPacker({ compression: 'gzip' }).packStorePaths(paths),
    createPacker({ compression: 'zstd' }).packStorePaths(paths.toReversed()),
    createPacker({ compression: 'none' }).packStorePaths([...paths, ...paths]),
  ])
  expect(new Set(layers.map(({ diffId }) => diffId)).size).toBe(1)
  for (const { file, digest } of layers) {
    const hash = createHash('sha256').update(readFileSync(file.path)).digest('hex')
    expect(digest).toBe(`sha256:${hash}`)
  }
  expect(readdirSync(folder.staging)).toHaveLength(3)
})

test('a discarded layer file is deleted', async () => {
  const layer = await createPacker().packStorePaths(['/nix/store/a'])
  await layer.discard()
  expect(readdirSync(folder.staging)).toEqual([])
})

test('the compressor is logged once', async () => {
  const packer = createPacker({ compression: 'zstd' })
  await Promise.all([packer.packStorePaths([]), packer.packStorePaths([])])
  expect(log.info.mock.calls).toEqual([
    [{ compressor: 'zlib zstd -2' }, 'compressor of layers selected'],
  ])
  expect(log.warn).not.toHaveBeenCalled()
})

test('a library that cannot be loaded is logged with the cause, and layers are packed without it', () => {
  const library = join(folder.path, 'libisal.so.2')
  writeFileSync(library, 'text')
  const script = join(folder.path, 'pack.mjs')
  const source = `
    import { LayerPacker } from '${resolve('service/adapters/packing/layer-packer.ts')}'
    const print = (...line) => console.log(JSON.stringify(line))
    const log = { debug: print, info: print, warn: print, error: print }
    const options = { compression: 'gzip', concurrency: 1, log }
    const packer = new LayerPacker({ ...options, folder: '${folder.staging}' })
    await packer.packStorePaths([])
    await packer.close()
  `
  writeFileSync(script, source)
  // A process of its own, because the linker reads this variable when a process starts.
  const env = { ...process.env, PATH: '', LD_LIBRARY_PATH: folder.path }
  const printed = execFileSync(process.execPath, [script], { env })
  const lines = printed.toString().trim().split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    [{ compressor: 'zlib gzip -1' }, 'compressor of layers selected'],
    [
      {
        library: 'libisal.so.2',
        path: 'libisal.so.2',
        failure: expect.stringMatching(`^could not be loaded: .*${library}: file too short`),
      },
      'library is not used: layers are compressed several times slower',
    ],
  ])
  expect(readdirSync(folder.staging)).toHaveLength(1)
})

test('a link farm is packed, and a package that lost a file is logged at debug level', async () => {
  const packages = ['b', 'a'].map((name) => {
    return { name, storePath: `/nix/store/${name}`, priority: 5, isRequested: true }
  })
  const packer = createPacker({ compression: 'none' })
  const layer = await packer.packLinkFarm({ packages, env: '/nix/store/a' })
  const listed = execFileSync('tar', ['-tvf', layer.file.path]).toString()
  expect(listed).toContain('bin/x -> /nix/store/a/bin/x')
  expect(listed).toContain('usr/bin/env -> /nix/store/a/bin/env')
  expect(listed).toMatch(/^drwxrwxrwt.* tmp\/$/m)
  const collision = { path: 'bin/x', kept: 'a', dropped: ['b'] }
  expect(log.debug.mock.calls).toEqual([[collision, 'several packages have the same file']])
})

test('a layer fails if reading a file fails, and its file is removed', async () => {
  // A regular file that nobody can read at offset 0.
  const packer = createPacker({ storeFolder: '/proc/self' })
  await expect(packer.packStorePaths(['/nix/store/mem'])).rejects.toThrow(
    /a layer could not be packed: EIO/,
  )
  expect(readdirSync(folder.staging)).toEqual([])
})

test('a worker packs further layers after a failure', async () => {
  const packer = createPacker({ compression: 'none', concurrency: 1 })
  await expect(packer.packStorePaths(['/nix/store/absent'])).rejects.toThrow(/absent/)
  await expect(packer.packStorePaths(['/etc/passwd'])).rejects.toThrow(/is not a store path/)
  await expect(packer.packStorePaths(['/nix/store/a'])).resolves.toBeDefined()
})

test('a missing staging folder is named in the error', async () => {
  rmSync(folder.staging, { recursive: true })
  await expect(createPacker().packStorePaths(['/nix/store/a'])).rejects.toThrow(folder.staging)
})

test('closing fails layers that are being packed, and removes their files', async () => {
  // A hole of zeros, which takes no space on the disk.
  const large = join(folder.store, 'a/large')
  writeFileSync(large, '')
  truncateSync(large, 1e10)
  const packer = createPacker({ concurrency: 1 })
  const layers = [1, 2].map(() => packer.packStorePaths(['/nix/store/a']))
  const settled = Promise.allSettled(layers)
  await vi.waitUntil(() => readdirSync(folder.staging).length > 0)
  await packer.close()
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(readdirSync(folder.staging)).toEqual([])
})

test.each([
  ['ENOSPC', 'no space is left'],
  ['EDQUOT', 'quota'],
  ['EROFS', 'read-only'],
])('%s makes the storage unavailable, and the failure names the folder', (code, cause) => {
  const error = packingError({ ok: false, message: `${code}: write`, code }, '/var/staging')
  expect(error).toBeInstanceOf(Failure)
  expect(error).toMatchObject({ kind: 'unavailable', retryAfter: 30 })
  expect(error.message).toContain('/var/staging')
  expect(error.message).toContain(cause)
})
