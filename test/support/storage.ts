/** What must be true of a storage folder at any moment. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

const folders = ['blobs/sha256', 'layers', 'plans', 'images']

/** Everything that is wrong: blobs that are not what they are named, records that name what is not there. */
export async function faultsOf(storage: string): Promise<string[]> {
  const [blobs = [], layers = [], plans = [], images = []] = await Promise.all(
    folders.map((folder) => readdir(join(storage, folder)).catch(() => [])),
  )
  const stored = new Set(blobs)
  const faults: string[] = []
  for (const blob of blobs) {
    const hash = createHash('sha256')
    await pipeline(createReadStream(join(storage, 'blobs/sha256', blob)), hash)
    if (hash.digest('hex') !== blob) faults.push(`blob ${blob} is not what it is named`)
  }
  const read = async (folder: string, key: string) => {
    try {
      return JSON.parse(await readFile(join(storage, folder, key), 'utf8'))
    } catch (error) {
      faults.push(`${folder}/${key}: ${error}`)
    }
  }
  const needs = (owner: string, digest: string) => {
    if (!stored.has(digest.slice('sha256:'.length))) faults.push(`${owner} names ${digest}`)
  }
  for (const key of plans) await read('plans', key)
  for (const key of layers) {
    const record = await read('layers', key)
    if (record) needs(`layers/${key}`, record.digest)
  }
  for (const key of images) {
    const record = await read('images', key)
    for (const { digest } of record ? [record.oci, record.docker] : []) {
      needs(`images/${key}`, digest)
      const manifest = await read('blobs/sha256', digest.slice('sha256:'.length))
      for (const part of manifest ? [manifest.config, ...manifest.layers] : []) {
        needs(`manifest ${digest}`, part.digest)
      }
    }
  }
  return faults
}

/** Files that are on their way into the storage, or were left on it. */
export async function stagedIn(storage: string): Promise<string[]> {
  const entries = await readdir(join(storage, '.staging'), { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}
