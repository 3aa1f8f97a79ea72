/** The names under which images have been built. */

import PQueue from 'p-queue'
import { SingleFlight } from '../concurrency/single-flight.ts'
import type { ImageCatalog, ImageRecord, RecordStore } from './ports.ts'

/** Most records read at a time: enough to hide the latency of a bucket. */
const readers = 16

export class Catalog implements ImageCatalog {
  readonly #records: RecordStore<ImageRecord>
  /** Image key → name. The name of an image key never changes, not even when its record is replaced. */
  #names = new Map<string, string>()
  readonly #flights = new SingleFlight<string[]>()

  constructor(records: RecordStore<ImageRecord>) {
    this.#records = records
  }

  /** Reads only records that it has not read before. */
  names(): Promise<string[]> {
    return this.#flights.run('names', () => this.#read())
  }

  async #read(): Promise<string[]> {
    const present = new Map<string, string>()
    const unread: string[] = []
    for await (const key of this.#records.keys()) {
      const known = this.#names.get(key)
      if (known !== undefined) present.set(key, known)
      else unread.push(key)
    }
    const reads = unread.map((key) => async () => {
      const record = await this.#records.get(key)
      if (record !== undefined) present.set(key, record.name)
    })
    await new PQueue({ concurrency: readers }).addAll(reads)
    this.#names = present
    return [...new Set(present.values())].sort()
  }
}
