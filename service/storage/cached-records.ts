/** Records of a remote back end, with a cache. For kinds of records that change only when they are repaired. */

import { LookupCache } from './lookup-cache.ts'
import type { RecordStore } from './ports.ts'

export class CachedRecords<T extends object> implements RecordStore<T> {
  readonly #records: RecordStore<T>
  readonly #cache: LookupCache<T>

  /** @param size most bytes of cached records */
  constructor(records: RecordStore<T>, size: number) {
    this.#records = records
    this.#cache = new LookupCache(size)
  }

  async get(key: string): Promise<T | undefined> {
    const known = this.#cache.get(key)
    if (known === undefined) return this.fresh(key)
    return known === 'absent' ? undefined : known
  }

  async fresh(key: string): Promise<T | undefined> {
    const record = await this.#records.fresh(key)
    if (record === undefined) this.#cache.setAbsent(key)
    else this.#remember(key, record)
    return record
  }

  async has(key: string): Promise<boolean> {
    const known = this.#cache.get(key)
    if (known !== undefined) return known !== 'absent'
    const isFound = await this.#records.has(key)
    if (!isFound) this.#cache.setAbsent(key)
    return isFound
  }

  async settle(key: string, record: T): Promise<T> {
    const settled = await this.#records.settle(key, record)
    this.#remember(key, settled)
    return settled
  }

  async replace(key: string, record: T): Promise<void> {
    await this.#records.replace(key, record)
    this.#remember(key, record)
  }

  async delete(key: string): Promise<void> {
    await this.#records.delete(key)
    this.#cache.setAbsent(key)
  }

  keys(): AsyncIterable<string> {
    return this.#records.keys()
  }

  #remember(key: string, record: T): void {
    this.#cache.set(key, record, JSON.stringify(record).length)
  }
}
