/** An object store in memory, for tests with fake timers: it uses no timer and, for bytes, no I/O. */

import { readFile, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { ByteRange, LocalFile, ObjectStore, PutOptions } from '../../service/storage/ports.ts'

export class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, Buffer>()

  async stat(key: string): Promise<{ size: number } | undefined> {
    const object = this.objects.get(key)
    return object && { size: object.length }
  }

  async get(key: string, range?: ByteRange): Promise<Readable | undefined> {
    const object = this.objects.get(key)
    return object && Readable.from([range ? object.subarray(range.start, range.end + 1) : object])
  }

  async put(
    key: string,
    content: Uint8Array | LocalFile,
    options?: PutOptions,
  ): Promise<'stored' | 'exists'> {
    if (options?.ifAbsent && this.objects.has(key)) return 'exists'
    const isFile = !(content instanceof Uint8Array)
    this.objects.set(key, isFile ? await readFile(content.path) : Buffer.from(content))
    if (isFile) await rm(content.path)
    return 'stored'
  }

  async delete(key: string): Promise<void> {
    this.objects.delete(key)
  }

  outage(): undefined {}

  async *list(prefix: string): AsyncIterable<string> {
    for (const key of [...this.objects.keys()]) if (key.startsWith(prefix)) yield key
  }
}
