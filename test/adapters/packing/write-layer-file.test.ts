import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Compressor, selectCompressor } from '../../../service/adapters/packing/compressor.ts'
import type { FindLibrary } from '../../../service/adapters/packing/native-library.ts'
import { writeLayerFile, writeLayerTo } from '../../../service/adapters/packing/write-layer-file.ts'
import { decompress, PackingFolder } from '../../support/packing-folder.ts'

const findNothing: FindLibrary = async () => ({ unused: [] })

/** With the libraries of this machine and without them. */
const selections: (() => Promise<Compressor>)[] = [
  async () => (await selectCompressor('gzip')).compressor,
  async () => (await selectCompressor('gzip', findNothing)).compressor,
  async () => (await selectCompressor('zstd')).compressor,
  async () => (await selectCompressor('none')).compressor,
]
const compressors = await Promise.all(
  selections.map(async (select) => ({ ...(await select()), select })),
)

let folder: PackingFolder
/** The layer file to write. */
let path: string

beforeEach(() => {
  folder = new PackingFolder()
  path = join(folder.staging, 'layer')
})

afterEach(() => folder[Symbol.dispose]())

function sha256sum(input: Buffer): string {
  return `sha256:${execFileSync('sha256sum', { input }).toString().slice(0, 64)}`
}

describe.for(compressors)('compressed by $name:', (compressor) => {
  test('a layer has the digests and sizes of its file and of its tar', () => {
    const layer = writeLayerFile(folder.entries('a', 'b'), compressor, path, { md5: true })
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

  // A lost layer is packed again by another worker: its file may differ, but the diff id is in the image's config.
  test('a layer has the same diff id if another worker packs it again', async () => {
    const first = writeLayerFile(folder.entries('a', 'b'), compressor, path)
    const other = await compressor.select()
    const second = writeLayerFile(folder.entries('b', 'a'), other, `${path}-again`)
    expect(second.diffId).toBe(first.diffId)
    expect(second.tarSize).toBe(first.tarSize)
  })

  test('a layer keeps content that cannot be compressed', () => {
    const bytes = randomBytes(1_000_003)
    writeFileSync(join(folder.store, 'b/random'), bytes)
    writeLayerFile(folder.entries('b'), compressor, path)
    expect(decompress(readFileSync(path)).includes(bytes)).toBe(true)
  })

  test('a layer file is removed if a store path cannot be read', () => {
    const write = () => writeLayerFile(folder.entries('a', 'absent'), compressor, path)
    expect(write).toThrow(/ENOENT.*absent/)
    expect(readdirSync(folder.staging)).toEqual([])
  })

  test('writing a layer to a full disk fails with ENOSPC', () => {
    const full = openSync('/dev/full', 'w')
    const error = expect.objectContaining({ code: 'ENOSPC' })
    expect(() => writeLayerTo(full, folder.entries('a', 'b'), compressor)).toThrow(error)
    closeSync(full)
  })
})

test('an existing file is not overwritten by a layer', async () => {
  const { compressor } = await selectCompressor('none')
  writeFileSync(path, 'mine')
  expect(() => writeLayerFile(folder.entries('a'), compressor, path)).toThrow(/EEXIST/)
  expect(readFileSync(path, 'utf8')).toBe('mine')
})
