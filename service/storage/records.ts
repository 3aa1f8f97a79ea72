/** Records: small JSON documents about finished work. For most kinds, a key is a hash of the work's inputs. */

import type { z } from 'zod'
import { messageOf } from '../image/errors.ts'
import type { Log } from '../telemetry/ports.ts'
import type { ObjectStore, RecordStore } from './ports.ts'
import { readObject } from './read-object.ts'

/** All records of one kind. Asks the back end in every call; `CachedRecords` may stand in front of it. */
export class Records<T extends object> implements RecordStore<T> {
  readonly #store: ObjectStore
  readonly #folder: string
  readonly #schema: z.ZodType<T>
  readonly #log: Log

  constructor(store: ObjectStore, folder: string, schema: z.ZodType<T>, log: Log) {
    this.#store = store
    this.#folder = folder
    this.#schema = schema
    this.#log = log
  }

  /** A damaged record counts as absent: the work is done again. */
  async get(key: string): Promise<T | undefined> {
    const stream = await this.#store.get(this.#path(key))
    if (stream === undefined) return undefined
    const bytes = await readObject(stream)
    try {
      return this.#schema.parse(JSON.parse(bytes.toString()))
    } catch (error) {
      const fields = { key: this.#path(key), failure: messageOf(error) }
      this.#log.warn(fields, 'ignoring a damaged record')
      return undefined
    }
  }

  fresh(key: string): Promise<T | undefined> {
    return this.get(key)
  }

  async has(key: string): Promise<boolean> {
    return (await this.#store.stat(this.#path(key))) !== undefined
  }

  async settle(key: string, record: T): Promise<T> {
    const outcome = await this.#put(key, record, true)
    if (outcome === 'stored') return record
    const winner = await this.get(key)
    if (winner !== undefined) return winner
    await this.replace(key, record)
    return record
  }

  async replace(key: string, record: T): Promise<void> {
    await this.#put(key, record, false)
  }

  async delete(key: string): Promise<void> {
    await this.#store.delete(this.#path(key))
  }

  async *keys(): AsyncIterable<string> {
    for await (const path of this.#store.list(`${this.#folder}/`)) {
      yield path.slice(this.#folder.length + 1)
    }
  }

  #put(key: string, record: T, ifAbsent: boolean): Promise<'stored' | 'exists'> {
    const bytes = Buffer.from(`${JSON.stringify(record)}\n`)
    return this.#store.put(this.#path(key), bytes, { ifAbsent, contentType: 'application/json' })
  }

  #path(key: string): string {
    return `${this.#folder}/${key}`
  }
}
