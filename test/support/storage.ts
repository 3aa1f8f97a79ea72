/** Checks of a storage folder that must hold at any moment. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

const folders = ['blobs/sha256', 'layers', 'plans', 'images']

/** Returns all damage: blobs that do not match their digest, and records that name missing blobs. */
export async function damageIn(storage: string): Promise<string[]> {
  const [blobs = [], layers = [], plans = [], images = []] = await Promise.all(
    folders.map((folder) => readdir(join(storage, folder)).catch(() => [])),
  )
  const stored = new Set(blobs)
  const damage: string[] = []
  for (const blob of blobs) {
    const hash = createHash('sha256')
    await pipeline(createReadStream(join(storage, 'blobs/sha256', blob)), hash)
    if (hash.digest('hex') !== blob) damage.push(`blob ${blob} does not match its digest`)
  }
  const read = async (folder: string, key: string) => {
    try {
      return JSON.parse(await readFile(join(storage, folder, key), 'utf8'))
    } catch (error) {
      damage.push(`${folder}/${key}: ${error}`)
    }
  }
  const needs = (owner: string, digest: string) => {
    if (!stored.has(digest.slice('sha256:'.length)))
      damage.push(`${owner} names the missing blob ${digest}`)
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
  return damage
}

/** Returns the names of the staged files, of running and of broken writes. */
export async function stagedIn(storage: string): Promise<string[]> {
  const entries = await readdir(join(storage, '.staging'), { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}
