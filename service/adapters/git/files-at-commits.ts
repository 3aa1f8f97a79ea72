/**
 * Reads files at commits. A file at a commit never changes, so each result is cached, including that a commit
 * has no such file. Reads that wait at the same time share a git process, and commits with the same file share
 * its text.
 */
import { LRUCache } from 'lru-cache'
import type { GitCommands } from './commands.ts'
import { findObjects, readBlobs } from './objects.ts'

/** Bytes of the largest file that is read into memory. */
const largestFile = 1024 * 1024
/** Most files that one batch reads, so at most 64 MiB. */
const batchSize = 64
/** Most files whose blob id is cached. An entry takes some 200 bytes. */
const cachedFiles = 20_000
/** Most characters of all cached texts. */
const cachedText = 8 * 1024 * 1024

/** Id of the blob of a file. Empty if the commit has no such file, or the file is too large. */
type BlobId = string
const noFile = ''

interface Batch {
  /** The files as git names them: `COMMIT:PATH`. */
  readonly files: Set<string>
  /** The text of each file. A file is missing if its commit is not in the repository. */
  readonly texts: Promise<ReadonlyMap<string, string | undefined>>
}

export class FilesAtCommits {
  readonly #git: GitCommands
  readonly #blobs = new LRUCache<string, BlobId>({ max: cachedFiles })
  readonly #texts = new LRUCache<BlobId, string>({
    maxSize: cachedText,
    sizeCalculation: (text) => text.length + 1,
  })
  /** The batch that has not started yet. */
  #next: Batch | undefined
  /** Resolves when no batch runs. Only one runs at a time, so that other reads find a free process. */
  #idle: Promise<unknown> = Promise.resolve()

  constructor(git: GitCommands) {
    this.#git = git
  }

  /**
   * @param commit full id
   * @param path of the file in the tree of the commit
   * @returns the text of the file; undefined if there is none, or it is larger than 1 MiB
   * @throws Failure unavailable, also if the commit is not in the repository
   */
  async read(commit: string, path: string): Promise<string | undefined> {
    if (path.includes('\n')) throw new TypeError(`the path "${path}" contains a line break`)
    const file = `${commit}:${path}`
    const blob = this.#blobs.get(file)
    if (blob === noFile) return undefined
    const text = blob && this.#texts.get(blob)
    if (text !== undefined) return text

    if (this.#next === undefined || this.#next.files.size >= batchSize) this.#next = this.#prepare()
    const batch = this.#next
    batch.files.add(file)
    const texts = await batch.texts
    if (texts.has(file)) return texts.get(file)
    throw this.#git.failure(`commit ${commit} is not in the git mirror`)
  }

  /** Returns an empty batch, which starts when the batch before it has ended. */
  #prepare(): Batch {
    const files = new Set<string>()
    const texts = this.#idle.then(() => {
      if (this.#next?.files === files) this.#next = undefined
      return this.#readAll([...files])
    })
    this.#idle = texts.catch(() => {})
    return { files, texts }
  }

  async #readAll(files: readonly string[]): Promise<Map<string, string | undefined>> {
    const blobs = await this.#findBlobs(files)
    const texts = await this.#readTexts(new Set(blobs.values()))
    return new Map([...blobs].map(([file, blob]) => [file, texts.get(blob)]))
  }

  async #findBlobs(files: readonly string[]): Promise<Map<string, BlobId>> {
    const blobs = new Map<string, BlobId>()
    for (const file of files) {
      const blob = this.#blobs.get(file)
      if (blob !== undefined) blobs.set(file, blob)
    }
    const unknown = files.filter((file) => !blobs.has(file))
    const trees = unknown.map((file) => `${file.split(':', 1)}^{tree}`)
    const objects = await findObjects(this.#git, [...trees, ...unknown])
    for (const [index, file] of unknown.entries()) {
      // If the tree is missing, the commit is not in the repository.
      if (objects[index] === undefined) continue
      const found = objects[trees.length + index]
      const isReadable = found?.type === 'blob' && found.size <= largestFile
      const blob = isReadable ? found.id : noFile
      this.#blobs.set(file, blob)
      blobs.set(file, blob)
    }
    return blobs
  }

  async #readTexts(blobs: ReadonlySet<BlobId>): Promise<Map<BlobId, string>> {
    const texts = new Map<BlobId, string>()
    for (const blob of blobs) {
      const text = this.#texts.get(blob)
      if (text !== undefined) texts.set(blob, text)
    }
    const unknown = [...blobs].filter((blob) => blob !== noFile && !texts.has(blob))
    for (const [blob, text] of await readBlobs(this.#git, unknown)) {
      this.#texts.set(blob, text)
      texts.set(blob, text)
    }
    return texts
  }
}
