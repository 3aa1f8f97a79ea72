/** The objects of one bucket: what is known of them in memory, their content in files. */
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Checksums, checksumsOfFile, Tally } from './checksums.ts'
import { check, type Preconditions } from './preconditions.ts'
import { noSuchObject } from './service-error.ts'
import type { ObjectFields, StoredObject } from './stored-object.ts'

/** Content that has arrived whole. The bucket takes the file over. */
export interface NewContent {
  readonly file: string
  /** Bytes. */
  readonly size: number
  readonly checksums: Checksums
}

export class Bucket {
  readonly name: string
  readonly #folder: string
  readonly #now: () => number
  readonly #objects = new Map<string, StoredObject>()
  #files = 0
  #lastGeneration = 0

  /** @param now milliseconds since the epoch */
  constructor(name: string, folder: string, now: () => number) {
    this.name = name
    this.#folder = folder
    this.#now = now
  }

  /** A path that nothing has. */
  newFile(): string {
    this.#files += 1
    return join(this.#folder, String(this.#files))
  }

  find(key: string): StoredObject | undefined {
    return this.#objects.get(key)
  }

  /**
   * @param generation where the caller wants this one and no other
   * @throws {ServiceError} 404
   */
  get(key: string, generation?: number): StoredObject {
    const object = this.#objects.get(key)
    if (!object || (generation !== undefined && generation !== object.generation)) {
      throw noSuchObject(this.name, key)
    }
    return object
  }

  /** The same object, its checksums computed now if they were not when it arrived. */
  async withChecksums(object: StoredObject): Promise<StoredObject> {
    // Every object has this one, whatever else it has.
    if (object.checksums.crc32c !== undefined) return object
    const complete = { ...object, checksums: await checksumsOfFile(object.file) }
    if (this.#objects.get(object.key) === object) this.#objects.set(object.key, complete)
    return complete
  }

  /** In the order that the service lists them: by the bytes of their names. */
  all(): StoredObject[] {
    return [...this.#objects.values()].sort((a, b) =>
      Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)),
    )
  }

  /**
   * Nothing happens between the check and the write, so of two that race for a name one fails.
   * @throws {ServiceError} 412; the content is then gone
   */
  put(
    key: string,
    content: NewContent,
    fields: ObjectFields,
    conditions?: Preconditions,
  ): StoredObject {
    const before = this.#objects.get(key)
    try {
      if (conditions) check(conditions, before)
    } catch (error) {
      unlinkSync(content.file)
      throw error
    }
    const now = this.#now()
    // The service's generations are microseconds, too, but nobody may rely on it.
    this.#lastGeneration = Math.max(this.#lastGeneration + 1, Math.floor(now * 1000))
    const object: StoredObject = {
      key,
      fields,
      ...content,
      generation: this.#lastGeneration,
      metageneration: 1,
      created: now,
      updated: now,
    }
    this.#objects.set(key, object)
    // Whoever is reading it has it open.
    if (before) unlinkSync(before.file)
    return object
  }

  /** Content from memory, as if somebody else had uploaded it. */
  putBytes(key: string, bytes: Uint8Array, fields: ObjectFields): StoredObject {
    const file = this.newFile()
    writeFileSync(file, bytes)
    const tally = new Tally()
    tally.update(bytes)
    return this.put(key, { file, size: bytes.length, checksums: tally.result() }, fields)
  }

  copy(
    source: StoredObject,
    key: string,
    fields: ObjectFields,
    conditions: Preconditions,
  ): StoredObject {
    const file = this.newFile()
    linkSync(source.file, file)
    const { size, checksums } = source
    return this.put(key, { file, size, checksums }, fields, conditions)
  }

  patch(object: StoredObject, fields: ObjectFields): StoredObject {
    const metageneration = object.metageneration + 1
    const patched = { ...object, fields, metageneration, updated: this.#now() }
    this.#objects.set(object.key, patched)
    return patched
  }

  delete(object: StoredObject): void {
    this.#objects.delete(object.key)
    unlinkSync(object.file)
  }

  /** @throws {ServiceError} 404 */
  read(key: string): Buffer {
    return readFileSync(this.get(key).file)
  }
}
