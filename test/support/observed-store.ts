/** An object store whose calls a test can see, delay, and make fail. */
import type { Readable } from 'node:stream'
import type {
  ByteRange,
  LocalFile,
  ObjectStore,
  PieceReader,
  PutOptions,
} from '../../service/storage/ports.ts'

/** `read` is a call of `readPieces`. */
export type Operation = 'stat' | 'get' | 'read' | 'put' | 'delete' | 'list'

/** Receives the pieces of an object. */
export type Take = (piece: Uint8Array) => Promise<void>

export class ObservedStore implements ObjectStore, PieceReader {
  readonly #store: ObjectStore & Partial<PieceReader>
  /** `put images/…` when a call begins, `stored images/…` or `exists images/…` when it ends. */
  readonly calls: string[]
  /** Runs before each call, which fails with what it throws. */
  before: (operation: Operation, key: string) => void | Promise<void> = () => {}
  /** Returns the stream that `get` returns, given the stream of the store. */
  reading: (key: string, stream: Readable) => Readable = (_key, stream) => stream
  /** Passes pieces to `take`, as `readPieces` does, given the function of the store that does so. */
  passing: (key: string, take: Take, pass: (take: Take) => Promise<boolean>) => Promise<boolean> = (
    _key,
    take,
    pass,
  ) => pass(take)

  constructor(store: ObjectStore & Partial<PieceReader>, calls: string[] = []) {
    this.#store = store
    this.calls = calls
  }

  async stat(key: string): Promise<{ size: number } | undefined> {
    await this.#note('stat', key)
    return this.#store.stat(key)
  }

  async get(key: string, range?: ByteRange): Promise<Readable | undefined> {
    await this.#note('get', key)
    const stream = await this.#store.get(key, range)
    return stream && this.reading(key, stream)
  }

  async readPieces(key: string, range: ByteRange | undefined, take: Take): Promise<boolean> {
    await this.#note('read', key)
    return this.passing(key, take, async (receive) => {
      if (this.#store.readPieces === undefined) throw new Error('the store reads no pieces')
      return this.#store.readPieces(key, range, receive)
    })
  }

  async put(
    key: string,
    content: Uint8Array | LocalFile,
    options?: PutOptions,
  ): Promise<'stored' | 'exists'> {
    await this.#note('put', key)
    const outcome = await this.#store.put(key, content, options)
    this.calls.push(`${outcome} ${key}`)
    return outcome
  }

  async delete(key: string): Promise<void> {
    await this.#note('delete', key)
    await this.#store.delete(key)
  }

  outage(): string | undefined {
    return this.#store.outage()
  }

  async *list(prefix: string): AsyncIterable<string> {
    await this.#note('list', prefix)
    yield* this.#store.list(prefix)
  }

  async #note(operation: Operation, key: string): Promise<void> {
    this.calls.push(`${operation} ${key}`)
    await this.before(operation, key)
  }
}
