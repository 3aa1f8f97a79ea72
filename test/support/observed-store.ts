/** An object store whose calls a test can see, hold up, and make fail. */

import type { Readable } from 'node:stream'
import type { ByteRange, LocalFile, ObjectStore, PutOptions } from '../../service/storage/ports.ts'

export type Operation = 'stat' | 'get' | 'put' | 'delete' | 'list'

export class ObservedStore implements ObjectStore {
  readonly #store: ObjectStore
  /** `put images/…` as it begins, `stored images/…` (or `exists`) as it ends, in order. */
  readonly calls: string[]
  /** Runs before each call; what it throws is thrown in the storage's stead. */
  before: (operation: Operation, key: string) => void | Promise<void> = () => {}
  /** Gives the stream that `get` answers with, from the true one. */
  reading: (key: string, stream: Readable) => Readable = (_key, stream) => stream

  constructor(store: ObjectStore, calls: string[] = []) {
    this.#store = store
    this.calls = calls
  }

  async stat(key: string): Promise<{ size: number } | undefined> {
    await this.#note('stat', key)
    return this.#store.stat(key)
  }

  async get(key: string, range?: ByteRange): Promise<Readable | undefined> {
    await this.#note('get', key)
    const stream = await this.#store.get(key, range)
    return stream && this.reading(key, stream)
  }

  async put(
    key: string,
    content: Uint8Array | LocalFile,
    options?: PutOptions,
  ): Promise<'stored' | 'exists'> {
    await this.#note('put', key)
    const outcome = await this.#store.put(key, content, options)
    this.calls.push(`${outcome} ${key}`)
    return outcome
  }

  async delete(key: string): Promise<void> {
    await this.#note('delete', key)
    await this.#store.delete(key)
  }

  outage(): string | undefined {
    return this.#store.outage()
  }

  async *list(prefix: string): AsyncIterable<string> {
    await this.#note('list', prefix)
    yield* this.#store.list(prefix)
  }

  async #note(operation: Operation, key: string): Promise<void> {
    this.calls.push(`${operation} ${key}`)
    await this.before(operation, key)
  }
}
