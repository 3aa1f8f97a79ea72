/** Has the names in folders on disk: what is named at the same time is waited for together. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** Milliseconds for which a folder stays open after it was synced: where one name comes, others follow. */
const openTime = 1000

export class FolderSyncs {
  readonly #folders = new Map<string, Folder>()

  /** Resolves when all names that the folder has by now are on disk. */
  sync(path: string): Promise<void> {
    let folder = this.#folders.get(path)
    if (folder === undefined) {
      folder = new Folder(path, () => this.#folders.delete(path))
      this.#folders.set(path, folder)
    }
    return folder.sync()
  }
}

class Folder {
  readonly #path: string
  readonly #onClose: () => void
  #file: FileHandle | undefined
  #current: Promise<void> | undefined
  /** Of those who came after the current one had begun. */
  #next: Promise<void> | undefined
  #closing: NodeJS.Timeout | undefined

  constructor(path: string, onClose: () => void) {
    this.#path = path
    this.#onClose = onClose
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
      this.#file ??= await open(this.#path, constants.O_RDONLY)
      await this.#file.sync()
    } catch (error) {
      // The next time it may be another folder, and Linux tells only once what it could not write.
      await this.#file?.close().catch(() => {})
      this.#file = undefined
      throw error
    }
  }

  #close(): void {
    this.#onClose()
    this.#file?.close().catch(() => {})
  }
}
