/**
 * Chunks of one large layer that several workers compress. The chunks are in a ring of slots in shared memory:
 *
 *     owner    the worker that packs the layer: adds chunks,         ┌────────────┬────────────┬─────┬─────┐
 *              takes compressed ones in order                        │ compressed │ compressed │ raw │ raw │ …
 *     helper   compresses the oldest chunk that no worker has begun  └────────────┴────────────┴─────┴─────┘
 *
 * If no helper has begun a chunk when the owner takes it, the owner compresses it. So the chunks and their order do
 * not depend on when helpers join or leave.
 */
import { chunkSize } from '../tar/write-tar.ts'

type Compress = (chunk: Buffer) => Uint8Array

/** Most chunks that the owner may add before it must take one. */
const slots = 8
/** Most helpers of one layer. The owner works on one slot, so more helpers would have nothing to do. */
export const maxHelpers = slots - 1

/** Milliseconds after which a waiting worker checks the state again, in case it missed a notification. */
const maxWait = 1000

/** States of a slot. It is also empty while a worker compresses its chunk. */
const empty = 0
const raw = 1
const compressed = 2

/** Bytes for a chunk, including its growth if it cannot be compressed. */
const areaSize = chunkSize + 4096

/** Indexes of the shared 32-bit words. */
const layerNumberWord = 0
const helpersWord = 1
/** Number of helpers that should leave. */
const dismissedWord = 2
/** 1 after a helper has died. */
const deadHelperWord = 3
/** Incremented with each event that helpers wait for. */
const eventsWord = 4
const slotWords = 5

/** Words of a slot: its state, bytes of the raw chunk, bytes of the compressed chunk. */
const wordsPerSlot = 3

export class SharedChunks {
  readonly memory: SharedArrayBuffer
  /** Identifies the layer: the memory is used for one layer after the other. */
  readonly layerNumber: number
  readonly #words: Int32Array
  #added = 0
  #taken = 0

  private constructor(memory: SharedArrayBuffer | undefined, layerNumber: number | undefined) {
    const words = slotWords + slots * wordsPerSlot
    this.memory = memory ?? new SharedArrayBuffer(words * 4 + 2 * slots * areaSize)
    this.#words = new Int32Array(this.memory, 0, words)
    this.layerNumber = layerNumber ?? Atomics.load(this.#words, layerNumberWord)
  }

  /**
   * Creates the chunks of a layer, for its owner.
   * @param memory of a layer that is complete, to use it again
   */
  static create(memory?: SharedArrayBuffer): SharedChunks {
    const chunks = new SharedChunks(memory, undefined)
    Atomics.store(chunks.#words, dismissedWord, 0)
    Atomics.store(chunks.#words, deadHelperWord, 0)
    return chunks
  }

  /** Opens the chunks of a layer that another thread owns. */
  static open(memory: SharedArrayBuffer, layerNumber: number): SharedChunks {
    return new SharedChunks(memory, layerNumber)
  }

  /** Chunks that are added and not yet taken. */
  get size(): number {
    return this.#added - this.#taken
  }

  get isFull(): boolean {
    return this.size === slots
  }

  get hasHelpers(): boolean {
    return Atomics.load(this.#words, helpersWord) > 0
  }

  /** For the owner: memory for the next chunk, if the ring is not full. */
  get nextBuffer(): Buffer {
    return this.#area(this.#added % slots, 0, chunkSize)
  }

  /** For the owner: adds the chunk that it has written to `nextBuffer`. */
  add(length: number): void {
    const word = wordOf(this.#added % slots)
    this.#added += 1
    this.#words[word + 1] = length
    Atomics.store(this.#words, word, raw)
    this.#wakeHelpers()
  }

  /**
   * For the owner: returns the oldest chunk, compressed. Its bytes are valid until eight more chunks are added.
   * @throws Error if a helper has died
   */
  take(compress: Compress): Uint8Array {
    const slot = this.#taken % slots
    this.#taken += 1
    const word = wordOf(slot)
    for (;;) {
      const state = Atomics.compareExchange(this.#words, word, raw, empty)
      if (state === compressed) return this.#area(slot, 1, this.#words[word + 2] as number)
      if (state === raw) return compress(this.#rawChunk(slot))
      if (Atomics.load(this.#words, deadHelperWord) === 1) throw new Error('a helping worker died')
      Atomics.wait(this.#words, word, empty, maxWait)
    }
  }

  /** True until the layer is packed, or its owner has died. */
  get isOpen(): boolean {
    return Atomics.load(this.#words, layerNumberWord) === this.layerNumber
  }

  /** Dismisses all helpers. For the owner, or for the pool if the owner has died. */
  close(): void {
    Atomics.compareExchange(this.#words, layerNumberWord, this.layerNumber, this.layerNumber + 1)
    this.#wakeHelpers()
  }

  /** Ends the owner's `take` with an error, because a chunk that the dead helper has begun is never compressed. */
  reportDeadHelper(): void {
    if (!this.isOpen) return
    Atomics.store(this.#words, deadHelperWord, 1)
    for (let slot = 0; slot < slots; slot += 1) Atomics.notify(this.#words, wordOf(slot))
  }

  /** Dismisses one helper, because there is another job for it. */
  dismissHelper(): void {
    Atomics.add(this.#words, dismissedWord, 1)
    this.#wakeHelpers()
  }

  /** For a helper: compresses chunks until the layer is packed or the helper is dismissed. */
  help(compress: Compress): void {
    Atomics.add(this.#words, helpersWord, 1)
    try {
      for (let slot = 0; ; ) {
        // Read before the slots are checked: an event after the check then ends the wait at once.
        const events = Atomics.load(this.#words, eventsWord)
        if (this.#shouldLeave()) return
        const started = this.#start(slot)
        if (started === undefined) {
          Atomics.wait(this.#words, eventsWord, events, maxWait)
          continue
        }
        slot = (started + 1) % slots
        this.#compress(started, compress)
      }
    } finally {
      Atomics.sub(this.#words, helpersWord, 1)
    }
  }

  /** Claims the first raw chunk from this slot on; returns its slot. */
  #start(from: number): number | undefined {
    for (let offset = 0; offset < slots; offset += 1) {
      const slot = (from + offset) % slots
      if (Atomics.compareExchange(this.#words, wordOf(slot), raw, empty) === raw) return slot
    }
    return undefined
  }

  #compress(slot: number, compress: Compress): void {
    const word = wordOf(slot)
    let state = raw
    try {
      const bytes = compress(this.#rawChunk(slot))
      this.#area(slot, 1, bytes.length).set(bytes)
      this.#words[word + 2] = bytes.length
      state = compressed
    } finally {
      Atomics.store(this.#words, word, state)
      Atomics.notify(this.#words, word)
    }
  }

  #shouldLeave(): boolean {
    if (!this.isOpen) return true
    for (;;) {
      const dismissed = Atomics.load(this.#words, dismissedWord)
      if (dismissed === 0) return false
      const found = Atomics.compareExchange(this.#words, dismissedWord, dismissed, dismissed - 1)
      if (found === dismissed) return true
    }
  }

  #wakeHelpers(): void {
    Atomics.add(this.#words, eventsWord, 1)
    Atomics.notify(this.#words, eventsWord)
  }

  #rawChunk(slot: number): Buffer {
    return this.#area(slot, 0, this.#words[wordOf(slot) + 1] as number)
  }

  /** @param side 0 for the raw chunk, 1 for the compressed one */
  #area(slot: number, side: 0 | 1, length: number): Buffer {
    const offset = this.#words.byteLength + (2 * slot + side) * areaSize
    return Buffer.from(this.memory, offset, length)
  }
}

function wordOf(slot: number): number {
  return slotWords + slot * wordsPerSlot
}
