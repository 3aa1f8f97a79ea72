/** Cache of lookups in a remote storage. Keeps found values for an hour, and missing keys for seconds. */
import { LRUCache } from 'lru-cache'

/** Milliseconds that a found value is used. Other instances replace values only to repair them. */
const presentTtl = 3_600_000
/** Milliseconds that a missing key counts as absent. Another instance may be about to store it. */
const absentTtl = 3000
/** Most absent keys in the cache. Clients that try one key after another would fill the memory. */
const mostAbsent = 10_000
/** Bytes that an entry takes besides its value. */
const entryOverhead = 200

/** Calls the current `performance.now` each time, because tests replace it. */
const perf = { now: () => performance.now() }

export class LookupCache<T extends object> {
  readonly #present: LRUCache<string, T>
  readonly #absent = new LRUCache<string, true>({ max: mostAbsent, ttl: absentTtl, perf })

  /** @param size most bytes of all values */
  constructor(size: number) {
    this.#present = new LRUCache({ maxSize: size, ttl: presentTtl, ttlResolution: 1000, perf })
  }

  get(key: string): T | 'absent' | undefined {
    return this.#present.get(key) ?? (this.#absent.has(key) ? 'absent' : undefined)
  }

  /** @param size bytes of the value */
  set(key: string, value: T, size: number): void {
    this.#absent.delete(key)
    this.#present.set(key, value, { size: size + entryOverhead })
  }

  setAbsent(key: string): void {
    this.#present.delete(key)
    this.#absent.set(key, true)
  }

  forget(key: string): void {
    this.#present.delete(key)
    this.#absent.delete(key)
  }
}
