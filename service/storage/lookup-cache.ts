/** What a storage that is far away told lately: what there is, for long; what there is not, for seconds. */
import { LRUCache } from 'lru-cache'

/** Milliseconds that what was found is taken for true: other instances replace it only to mend it. */
const presenceKnown = 3_600_000
/** Milliseconds that what was not found is taken for absent: another instance may be about to store it. */
const absenceKnown = 3000
/** Absent keys remembered: somebody may ask for one after another. */
const mostAbsent = 10_000
/** Bytes that an entry takes besides its value. */
const overhead = 200

/** The clock of the moment: tests put another in its place. */
const perf = { now: () => performance.now() }

export class LookupCache<T extends object> {
  readonly #present: LRUCache<string, T>
  readonly #absent = new LRUCache<string, true>({ max: mostAbsent, ttl: absenceKnown, perf })

  /** @param size most bytes of values */
  constructor(size: number) {
    this.#present = new LRUCache({ maxSize: size, ttl: presenceKnown, ttlResolution: 1000, perf })
  }

  get(key: string): T | 'absent' | undefined {
    return this.#present.get(key) ?? (this.#absent.has(key) ? 'absent' : undefined)
  }

  /** @param size bytes of the value */
  set(key: string, value: T, size: number): void {
    this.#absent.delete(key)
    this.#present.set(key, value, { size: size + overhead })
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
