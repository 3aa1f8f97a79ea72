/** A storage that several instances use at once, each over a network: what a bucket is to the use cases. */
import type { VersionedObjects } from '../../service/storage/ports.ts'
import { MemoryStore } from './memory-store.ts'

export class SharedStore extends MemoryStore {
  /** What was asked, as `get images/a`. */
  readonly requests: string[] = []
  readonly #versions = new Map<string, number>()
  #latest = 0
  /** Does its work, and then says that it was not as expected: the answer to the first try was lost. */
  losesAnswers = false

  readonly versioned: VersionedObjects = {
    version: async (key) => {
      this.requests.push(`version ${key}`)
      return this.#versions.get(key)?.toString()
    },
    write: async (key, content, expected) => {
      this.requests.push(`write ${key}`)
      if (this.#versions.get(key)?.toString() !== expected) return undefined
      this.#latest += 1
      this.#versions.set(key, this.#latest)
      this.objects.set(key, Buffer.from(content))
      return this.losesAnswers ? undefined : String(this.#latest)
    },
    remove: async (key, version) => {
      this.requests.push(`remove ${key}`)
      if (this.#versions.get(key)?.toString() !== version) return
      this.#versions.delete(key)
      this.objects.delete(key)
    },
  }

  override async stat(key: string) {
    this.requests.push(`stat ${key}`)
    return super.stat(key)
  }

  override async get(...args: Parameters<MemoryStore['get']>) {
    this.requests.push(`get ${args[0]}`)
    return super.get(...args)
  }

  override async put(...args: Parameters<MemoryStore['put']>) {
    this.requests.push(`put ${args[0]}`)
    return super.put(...args)
  }
}
