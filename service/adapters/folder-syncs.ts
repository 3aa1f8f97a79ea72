/** Has the names in folders on disk: what is named at the same time is waited for together. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** Milliseconds for which a folder stays open: where one name comes, others follow. */
const openTime = 1000

export class FolderSyncs {
  readonly #folders = new Map<string, Folder>()

  /**
   * Resolves when all names that the folder has by now are on disk. Of a folder that somebody else has put
   * in the place of another, this holds a second later.
   */
  sync(path: string): Promise<void> {
    let folder = this.#folders.get(path)
    if (folder === undefined) {
      folder = new Folder(path, () => this.#folders.delete(path))
      this.#folders.set(path, folder)
    }
    return folder.sync()
  }

  /** The folder has been made anew: what is open may be the one before. */
  forget(path: string): void {
    this.#folders.get(path)?.forget()
  }
}

class Folder {
  readonly #path: string
  readonly #onClose: () => void
  #file: FileHandle | undefined
  /** When it was, as performance.now tells it; past is what must be opened again. */
  #opened = Number.NEGATIVE_INFINITY
  #current: Promise<void> | undefined
  /** Of those who came after the current one had begun. */
  #next: Promise<void> | undefined
  #closing: NodeJS.Timeout | undefined

  constructor(path: string, onClose: () => void) {
    this.#path = path
    this.#onClose = onClose
  }

  forget(): void {
    this.#opened = Number.NEGATIVE_INFINITY
  }

  sync(): Promise<void> {
    if (this.#current === undefined) return this.#start()
    const again = () => this.#start()
    this.#next ??= this.#current.then(again, again)
    return this.#next
  }

  #start(): Promise<void> {
    clearTimeout(this.#closing)
    this.#next = undefined
    this.#current = this.#sync().finally(() => {
      if (this.#next !== undefined) return
      this.#current = undefined
      this.#closing = setTimeout(() => this.#close(), openTime).unref()
    })
    return this.#current
  }

  async #sync(): Promise<void> {
    try {
      const now = performance.now()
      if (now - this.#opened > openTime) {
        await this.#closeFile()
        this.#opened = now
      }
      this.#file ??= await open(this.#path, constants.O_RDONLY)
      await this.#file.sync()
    } catch (error) {
      // The next time it may be another folder.
      await this.#closeFile()
      throw error
    }
  }

  #close(): void {
    this.#onClose()
    void this.#closeFile()
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close().catch(() => {})
  }
}
