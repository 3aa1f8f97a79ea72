/** A part of an object store: all keys get a prefix, so that tests can share a real bucket with other users. */
import type { Readable } from 'node:stream'
import type { ByteRange, LocalFile, ObjectStore, PutOptions } from '../../service/storage/ports.ts'

export class PrefixedStore implements ObjectStore {
  readonly #store: ObjectStore
  readonly #prefix: string

  /** @param prefix ends with a slash */
  constructor(store: ObjectStore, prefix: string) {
    this.#store = store
    this.#prefix = prefix
  }

  stat(key: string): Promise<{ size: number } | undefined> {
    return this.#store.stat(this.#prefix + key)
  }

  get(key: string, range?: ByteRange): Promise<Readable | undefined> {
    return this.#store.get(this.#prefix + key, range)
  }

  put(
    key: string,
    content: Uint8Array | LocalFile,
    options?: PutOptions,
  ): Promise<'stored' | 'exists'> {
    return this.#store.put(this.#prefix + key, content, options)
  }

  delete(key: string): Promise<void> {
    return this.#store.delete(this.#prefix + key)
  }

  async *list(prefix: string): AsyncIterable<string> {
    for await (const key of this.#store.list(this.#prefix + prefix)) {
      yield key.slice(this.#prefix.length)
    }
  }

  outage(): string | undefined {
    return this.#store.outage()
  }
}
