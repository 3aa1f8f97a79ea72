/** Records: small JSON documents that remember work, each under a key that hashes what led to it. */
import { z } from 'zod'
import type { Descriptor, Digest } from '../domain/descriptor.ts'
import type { Log, ObjectStore } from '../domain/ports.ts'
import { readWhole } from './read-whole.ts'

const digest = z.custom<Digest>(
  (value) => typeof value === 'string' && /^sha256:[a-f0-9]{64}$/.test(value),
  'not a sha256 digest',
)
const size = z.int().nonnegative()
const descriptor: z.ZodType<Descriptor> = z.object({ mediaType: z.string(), digest, size })

export const layerRecord = z.object({
  digest,
  /** Bytes, compressed. */
  size,
  diffId: digest,
  /** Bytes, uncompressed. */
  tarSize: size,
})
export type LayerRecord = z.infer<typeof layerRecord>

export const planRecord = z.object({
  /** Version of what the planner knew beyond the closure. */
  knowledge: z.string(),
  /** Store paths by layer. */
  layers: z.array(z.array(z.string())),
})
export type PlanRecord = z.infer<typeof planRecord>

export const imageRecord = z.object({
  /** The name that the image was first asked for by. */
  name: z.string(),
  packages: z.array(z.string()),
  architecture: z.string(),
  revision: z.string(),
  oci: descriptor,
  docker: descriptor,
  /** Bytes of all layers, compressed: what a client without any of them downloads. */
  size,
})
export type ImageRecord = z.infer<typeof imageRecord>

/** All records of one kind. */
export class Records<T> {
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

  /**
   * A damaged record is no record: what it remembered is worked out again.
   * @throws Failure unavailable
   */
  async get(key: string): Promise<T | undefined> {
    const stream = await this.#store.get(this.#path(key))
    if (stream === undefined) return undefined
    const bytes = await readWhole(stream)
    try {
      return this.#schema.parse(JSON.parse(bytes.toString()))
    } catch (error) {
      this.#log.warn({ key: this.#path(key), error }, 'ignoring a damaged record')
      return undefined
    }
  }

  async has(key: string): Promise<boolean> {
    return (await this.#store.stat(this.#path(key))) !== undefined
  }

  /** Writes a record unless there is one; gives the one that holds from now on. */
  async settle(key: string, record: T): Promise<T> {
    const outcome = await this.#put(key, record, true)
    if (outcome === 'stored') return record
    const winner = await this.get(key)
    if (winner !== undefined) return winner
    await this.replace(key, record)
    return record
  }

  /** For a record that has come to be wrong: its blob is lost. */
  async replace(key: string, record: T): Promise<void> {
    await this.#put(key, record, false)
  }

  /** Keys of all records, in no order. */
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
