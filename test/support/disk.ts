/** A file system in memory that a test may fill or make read-only. */
import { execFile } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export class Disk implements AsyncDisposable {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** @param size in the syntax of mount: `5m` */
  static async mount(folder: string, size: string): Promise<Disk> {
    await mkdir(folder, { recursive: true })
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'slipway-test', folder])
    return new Disk(folder)
  }

  /** @param options in the syntax of mount: `ro`, `size=200m` */
  async remount(options: string): Promise<void> {
    await run('mount', ['-o', `remount,${options}`, this.#folder])
  }

  /** Writes until the disk is full. */
  async fill(): Promise<void> {
    const file = await open(this.#filler, 'w')
    try {
      for (const page = Buffer.alloc(4096); ; ) await file.writeFile(page)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      await file.close()
    }
  }

  /** Frees the space that `fill` used. */
  async empty(): Promise<void> {
    await rm(this.#filler)
  }

  get #filler(): string {
    return join(this.#folder, 'filler')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', [this.#folder])
  }
}
