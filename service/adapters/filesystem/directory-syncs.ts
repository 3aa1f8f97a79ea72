/** Coalesces the fsync of directories: names that are added at the same time wait for the same fsync. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** Milliseconds that a directory stays open after an fsync, because further names often follow. */
const openTime = 1000

export class DirectorySyncs {
  /** Path → directory. A storage has few directories. */
  readonly #directories = new Map<string, DirectorySync>()

  /**
   * Resolves when all current names in the directory are on disk. If another program replaces the directory,
   * this syncs the old one until it is closed, at most a second later.
   */
  sync(path: string): Promise<void> {
    return this.#directory(path).sync()
  }

  /** Closes a directory that has been created again, so that the new one is opened. */
  forget(path: string): void {
    this.#directory(path).forget()
  }

  #directory(path: string): DirectorySync {
    const directory = this.#directories.get(path) ?? new DirectorySync(path)
    this.#directories.set(path, directory)
    return directory
  }
}

class DirectorySync {
  readonly #path: string
  #file: Promise<FileHandle> | undefined
  #running: Promise<void> | undefined
  /** The fsync for callers that arrived after the running one had started. */
  #next: Promise<void> | undefined

  constructor(path: string) {
    this.#path = path
  }

  sync(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    const start = () => this.#start()
    this.#next ??= this.#running.then(start, start)
    return this.#next
  }

  forget(): void {
    // Node closes a file only after the running operations on it.
    this.#file?.then((file) => file.close()).catch(() => {})
    this.#file = undefined
  }

  #start(): Promise<void> {
    this.#next = undefined
    this.#running = this.#sync().finally(() => {
      if (this.#next === undefined) this.#running = undefined
    })
    return this.#running
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
