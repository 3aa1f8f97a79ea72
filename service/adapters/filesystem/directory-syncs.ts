/** Has the names in folders on disk: what is named at the same time is waited for together. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** Milliseconds for which a folder stays open: where one name comes, others follow. */
const openTime = 1000

export class DirectorySyncs {
  /** A storage has few folders. */
  readonly #folders = new Map<string, Folder>()

  /**
   * Resolves when all names that the folder has by now are on disk. Of a folder that somebody else has put
   * in the place of another, this holds a second later.
   */
  sync(path: string): Promise<void> {
    return this.#folder(path).sync()
  }

  /** The folder has been made anew: what is open may be the one before. */
  forget(path: string): void {
    this.#folder(path).forget()
  }

  #folder(path: string): Folder {
    const folder = this.#folders.get(path) ?? new Folder(path)
    this.#folders.set(path, folder)
    return folder
  }
}

class Folder {
  readonly #path: string
  #file: Promise<FileHandle> | undefined
  #current: Promise<void> | undefined
  /** Of those who came after the current one had begun. */
  #next: Promise<void> | undefined

  constructor(path: string) {
    this.#path = path
  }

  sync(): Promise<void> {
    if (this.#current === undefined) return this.#start()
    const again = () => this.#start()
    this.#next ??= this.#current.then(again, again)
    return this.#next
  }

  /** The next time it is opened anew. */
  forget(): void {
    // Node closes a file when what is under way on it has ended.
    this.#file?.then((file) => file.close()).catch(() => {})
    this.#file = undefined
  }

  #start(): Promise<void> {
    this.#next = undefined
    this.#current = this.#sync().finally(() => {
      if (this.#next === undefined) this.#current = undefined
    })
    return this.#current
  }

  async #sync(): Promise<void> {
    try {
      const file = await this.#open()
      await file.sync()
    } catch (error) {
      this.forget()
      throw error
    }
  }

  #open(): Promise<FileHandle> {
    if (this.#file === undefined) {
      this.#file = open(this.#path, constants.O_RDONLY)
      setTimeout(() => this.forget(), openTime).unref()
    }
    return this.#file
  }
}
