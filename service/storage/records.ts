/** Records: small JSON documents that remember work, each under a key that hashes what led to it. */

import type { z } from 'zod'
import type { Log } from '../telemetry/ports.ts'
import { LookupCache } from './lookup-cache.ts'
import type { ObjectStore, RecordStore } from './ports.ts'
import { readWhole } from './read-whole.ts'

export interface RecordsOptions {
  /** Bytes of records to keep in memory: of a storage where each look is a request over a network. */
  readonly memory?: number
}

/** All records of one kind. */
export class Records<T extends object> implements RecordStore<T> {
  readonly #store: ObjectStore
  readonly #folder: string
  readonly #schema: z.ZodType<T>
  readonly #log: Log
  readonly #memory: LookupCache<T> | undefined

  constructor(
    store: ObjectStore,
    folder: string,
    schema: z.ZodType<T>,
    log: Log,
    { memory }: RecordsOptions = {},
  ) {
    this.#store = store
    this.#folder = folder
    this.#schema = schema
    this.#log = log
    this.#memory = memory === undefined ? undefined : new LookupCache(memory)
  }

  /**
   * A damaged record is no record: what it remembered is worked out again.
   * @throws Failure unavailable
   */
  async get(key: string): Promise<T | undefined> {
    const known = this.#memory?.get(key)
    if (known !== undefined) return known === 'absent' ? undefined : known
    return this.fresh(key)
  }

  /** The same, as it is in the storage now: another instance may have written it a moment ago. */
  async fresh(key: string): Promise<T | undefined> {
    const stream = await this.#store.get(this.#path(key))
    if (stream === undefined) {
      this.#memory?.setAbsent(key)
      return undefined
    }
    const bytes = await readWhole(stream)
    try {
      const record = this.#schema.parse(JSON.parse(bytes.toString()))
      this.#memory?.set(key, record, bytes.length)
      return record
    } catch (error) {
      this.#log.warn({ key: this.#path(key), error }, 'ignoring a damaged record')
      return undefined
    }
  }

  async has(key: string): Promise<boolean> {
    const known = this.#memory?.get(key)
    if (known !== undefined) return known !== 'absent'
    const found = (await this.#store.stat(this.#path(key))) !== undefined
    if (!found) this.#memory?.setAbsent(key)
    return found
  }

  /** Writes a record unless there is one; gives the one that holds from now on. */
  async settle(key: string, record: T): Promise<T> {
    const outcome = await this.#put(key, record, true)
    if (outcome === 'stored') return record
    const winner = await this.fresh(key)
    if (winner !== undefined) return winner
    await this.replace(key, record)
    return record
  }

  /** For a record that has come to be wrong: its blob is lost. */
  async replace(key: string, record: T): Promise<void> {
    await this.#put(key, record, false)
  }

  async delete(key: string): Promise<void> {
    await this.#store.delete(this.#path(key))
    this.#memory?.setAbsent(key)
  }

  /** Keys of all records, in no order. */
  async *keys(): AsyncIterable<string> {
    for await (const path of this.#store.list(`${this.#folder}/`)) {
      yield path.slice(this.#folder.length + 1)
    }
  }

  async #put(key: string, record: T, ifAbsent: boolean): Promise<'stored' | 'exists'> {
    const bytes = Buffer.from(`${JSON.stringify(record)}\n`)
    const options = { ifAbsent, contentType: 'application/json' }
    const outcome = await this.#store.put(this.#path(key), bytes, options)
    if (outcome === 'stored') this.#memory?.set(key, record, bytes.length)
    return outcome
  }

  #path(key: string): string {
    return `${this.#folder}/${key}`
  }
}
