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

type Compress = (piece: Buffer) => Uint8Array

/** As many pieces as may be ahead. */
const places = 8
/** More would have nothing to do. */
export const mostHelpers = places - 1

/** Milliseconds after which whoever waits looks around by himself. */
const longestPause = 1000

/** What a place holds; at first, and when the owner has taken it, nobody looks. */
const taken = 0
const raw = 1
const packed = 2

/** Bytes of a piece, and what it may grow by when it cannot be compressed. */
const areaSize = chunkSize + 4096

/**
 * Words before those of the places: number of the layer, helpers there are, helpers that should leave, whether
 * one of them is dead, and what changes with each event.
 */
const layer = 0
const helpers = 1
const dismissed = 2
const dead = 3
const news = 4
const head = 5
/** Words of a place: what it holds, bytes raw, bytes compressed. */
const wordsPerPlace = 3

export class SharedPieces {
  readonly memory: SharedArrayBuffer
  /** Number of the layer whose pieces these are: the memory is used for one after the other. */
  readonly layer: number
  readonly #words: Int32Array
  /** Pieces put in and taken out. */
  #put = 0
  #taken = 0

  /**
   * @param memory of other pieces, of which none is in work any more, or of the pieces of the same layer
   * @param number of the layer that another thread shares. @default the next one
   */
  constructor(memory?: SharedArrayBuffer, number?: number) {
    const words = head + places * wordsPerPlace
    this.memory = memory ?? new SharedArrayBuffer(words * 4 + 2 * places * areaSize)
    this.#words = new Int32Array(this.memory, 0, words)
    this.layer = number ?? Atomics.load(this.#words, layer)
    if (number !== undefined) return
    // What was said of the layer before.
    Atomics.store(this.#words, dismissed, 0)
    Atomics.store(this.#words, dead, 0)
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
    this.#tell()
  }

  /**
   * For the owner: the oldest piece, compressed; good until as many are put as there are places.
   * @throws Error when a helper is dead
   */
  take(compress: Compress): Uint8Array {
    const place = this.#taken % places
    this.#taken += 1
    const word = wordOf(place)
    for (;;) {
      const found = Atomics.compareExchange(this.#words, word, raw, taken)
      if (found === packed) return this.#area(place, 1, this.#words[word + 2] as number)
      if (found === raw) return compress(this.#rawPiece(place))
      Atomics.wait(this.#words, word, taken, longestPause)
      if (Atomics.load(this.#words, dead) === 1) throw new Error('a thread that helped has died')
    }
  }

  /** Whether the layer is still being packed. */
  get isOpen(): boolean {
    return Atomics.load(this.#words, layer) === this.layer
  }

  /** Helpers leave. For the owner, or for whoever knows that it is gone. */
  close(): void {
    Atomics.compareExchange(this.#words, layer, this.layer, this.layer + 1)
    this.#tell()
  }

  /** For whoever knows that a helper is gone: what it has begun nobody will end, and the owner is to fail. */
  helperDied(): void {
    if (!this.isOpen) return
    Atomics.store(this.#words, dead, 1)
    for (let place = 0; place < places; place += 1) Atomics.notify(this.#words, wordOf(place))
  }

  /** For whoever has other work for a helper: one of them leaves. */
  dismiss(): void {
    Atomics.add(this.#words, dismissed, 1)
    this.#tell()
  }

  /** For a helper: compresses until the layer is done or it is dismissed. */
  help(compress: Compress): void {
    Atomics.add(this.#words, helpers, 1)
    try {
      for (let place = 0; ; ) {
        // Before anything is looked at: what changes afterwards is not slept through.
        const seen = Atomics.load(this.#words, news)
        if (this.#mayLeave()) return
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
    if (!this.isOpen) return true
    for (;;) {
      const leaving = Atomics.load(this.#words, dismissed)
      if (leaving === 0) return false
      const found = Atomics.compareExchange(this.#words, dismissed, leaving, leaving - 1)
      if (found === leaving) return true
    }
  }

  #tell(): void {
    Atomics.add(this.#words, news, 1)
    Atomics.notify(this.#words, news)
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
