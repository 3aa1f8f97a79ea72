/**
 * Pieces of one large layer that several threads compress. They lie in places of shared memory that are used
 * again and again:
 *
 *     owner   puts raw pieces in, takes compressed ones out, in order        ┌─────┬─────┬─────┬─────┐
 *     helper  takes the oldest that nobody has begun, and compresses it      │ out │ out │ raw │ raw │ …
 *                                                                            └─────┴─────┴─────┴─────┘
 *
 * The owner waits for nobody who has not begun: what no helper has taken by the time it is needed, it
 * compresses itself. So helpers may come late, leave early, or never come, and the bytes are the same.
 */
import { chunkSize } from '../tar/chunks.ts'

export type Compress = (piece: Buffer) => Uint8Array

/** As many pieces as may be ahead. */
const places = 8
/** More would have nothing to do. */
export const mostHelpers = places - 1

/** Milliseconds for which a piece may be in work: longer is not slow, but a thread that is gone. */
const longestWork = 30_000
/** Milliseconds after which a helper looks whether there is still something to do. */
const longestPause = 1000

/** What a place holds; at first, and when the owner has taken it, what it holds is nobody's business. */
const taken = 0
const raw = 1
const packed = 2

/** Bytes of a piece, and what it may grow by when it cannot be compressed. */
const areaSize = chunkSize + 4096

/** Words before those of the places: whether the layer is done, helpers there are, helpers to leave, events. */
const closed = 0
const helpers = 1
const dismissed = 2
const news = 3
const head = 4
/** Words of a place: what it holds, bytes raw, bytes compressed. */
const wordsPerPlace = 3

export class SharedPieces {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array
  /** Pieces put in and taken out. */
  #put = 0
  #taken = 0

  /** @param memory of pieces that another thread shares */
  constructor(memory?: SharedArrayBuffer) {
    const words = head + places * wordsPerPlace
    this.memory = memory ?? new SharedArrayBuffer(words * 4 + 2 * places * areaSize)
    this.#words = new Int32Array(this.memory, 0, words)
  }

  /** Pieces that are in work. */
  get size(): number {
    return this.#put - this.#taken
  }

  get isFull(): boolean {
    return this.size === places
  }

  /** Whether it makes sense to put something in. */
  get hasHelpers(): boolean {
    return Atomics.load(this.#words, helpers) > 0
  }

  /** For the owner, while there are places: where the next piece may be written. */
  get room(): Buffer {
    return this.#area(this.#put % places, 0, chunkSize)
  }

  /** For the owner: so many bytes have been written there. */
  put(length: number): void {
    const word = wordOf(this.#put % places)
    this.#put += 1
    this.#words[word + 1] = length
    Atomics.store(this.#words, word, raw)
    Atomics.add(this.#words, news, 1)
    Atomics.notify(this.#words, news)
  }

  /**
   * For the owner: the oldest piece, compressed; good until as many are put as there are places.
   * @throws Error when the thread that has begun with it is gone
   */
  take(compress: Compress): Uint8Array {
    const place = this.#taken % places
    this.#taken += 1
    const word = wordOf(place)
    for (;;) {
      const found = Atomics.compareExchange(this.#words, word, raw, taken)
      if (found === packed) return this.#area(place, 1, this.#words[word + 2] as number)
      if (found === raw) return compress(this.#rawPiece(place))
      if (Atomics.wait(this.#words, word, taken, longestWork) === 'timed-out') {
        throw new Error('a thread that compressed a part of the layer did not end')
      }
    }
  }

  /** For the owner: for a layer of which nothing is in work yet. */
  open(): void {
    Atomics.store(this.#words, closed, 0)
    Atomics.store(this.#words, dismissed, 0)
  }

  /** For the owner: helpers leave. */
  close(): void {
    Atomics.store(this.#words, closed, 1)
    Atomics.add(this.#words, news, 1)
    Atomics.notify(this.#words, news)
  }

  /** For whoever has other work for a helper: one of them leaves. */
  dismiss(): void {
    Atomics.add(this.#words, dismissed, 1)
    Atomics.add(this.#words, news, 1)
    Atomics.notify(this.#words, news)
  }

  /** For a helper: compresses until the layer is done or it is dismissed. */
  help(compress: Compress): void {
    Atomics.add(this.#words, helpers, 1)
    try {
      for (let place = 0; !this.#mayLeave(); ) {
        const seen = Atomics.load(this.#words, news)
        const found = this.#begin(place)
        if (found === undefined) {
          Atomics.wait(this.#words, news, seen, longestPause)
          continue
        }
        place = (found + 1) % places
        this.#compress(found, compress)
      }
    } finally {
      Atomics.sub(this.#words, helpers, 1)
    }
  }

  /** The first piece from this place on that nobody has begun. */
  #begin(from: number): number | undefined {
    for (let offset = 0; offset < places; offset += 1) {
      const place = (from + offset) % places
      if (Atomics.compareExchange(this.#words, wordOf(place), raw, taken) === raw) return place
    }
    return undefined
  }

  #compress(place: number, compress: Compress): void {
    const word = wordOf(place)
    let outcome = raw
    try {
      const bytes = compress(this.#rawPiece(place))
      this.#area(place, 1, bytes.length).set(bytes)
      this.#words[word + 2] = bytes.length
      outcome = packed
    } finally {
      Atomics.store(this.#words, word, outcome)
      Atomics.notify(this.#words, word)
    }
  }

  #mayLeave(): boolean {
    if (Atomics.load(this.#words, closed) === 1) return true
    const leaving = Atomics.load(this.#words, dismissed)
    if (leaving === 0) return false
    return Atomics.compareExchange(this.#words, dismissed, leaving, leaving - 1) === leaving
  }

  #rawPiece(place: number): Buffer {
    return this.#area(place, 0, this.#words[wordOf(place) + 1] as number)
  }

  /** @param side 0 for what is to be compressed, 1 for what has been */
  #area(place: number, side: 0 | 1, length: number): Buffer {
    const offset = this.#words.byteLength + (2 * place + side) * areaSize
    return Buffer.from(this.memory, offset, length)
  }
}

function wordOf(place: number): number {
  return head + place * wordsPerPlace
}
