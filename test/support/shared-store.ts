/** A stand-in for a bucket: a storage that several instances share, with a list of its requests. */
import type { VersionedObjects } from '../../service/storage/ports.ts'
import { MemoryStore } from './memory-store.ts'

export class SharedStore extends MemoryStore {
  /** Each request in order: `get images/a`. */
  readonly requests: string[] = []
  readonly #versions = new Map<string, number>()
  #latest = 0
  /** Writes, but reports a failed precondition, as a retry does after the first response was lost. */
  losesResponses = false

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
      return this.losesResponses ? undefined : String(this.#latest)
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
