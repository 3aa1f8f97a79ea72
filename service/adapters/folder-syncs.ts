/** Has the names in folders on disk: what is named at the same time is waited for together. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'

interface Syncing {
  readonly current: Promise<void>
  /** Of those who came after the current one had begun. */
  next?: Promise<void>
}

export class FolderSyncs {
  readonly #syncing = new Map<string, Syncing>()

  /** Resolves when all names that the folder has by now are on disk. */
  async sync(folder: string): Promise<void> {
    const syncing = this.#syncing.get(folder)
    if (syncing === undefined) return this.#start(folder)
    const again = () => this.#start(folder)
    syncing.next ??= syncing.current.then(again, again)
    return syncing.next
  }

  #start(folder: string): Promise<void> {
    const syncing: Syncing = {
      current: syncPath(folder).finally(() => {
        if (syncing.next === undefined) this.#syncing.delete(folder)
      }),
    }
    this.#syncing.set(folder, syncing)
    return syncing.current
  }
}

/** Has a file, or the names in a folder, on disk. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
