/** Where clients fetch objects themselves. */
import type { File } from '@google-cloud/storage'
import { LRUCache } from 'lru-cache'
import type { GcsClient } from './client.ts'
import { signingFailure } from './fault.ts'

/** Milliseconds that a signed URL is good for. */
const lifetime = 5 * 60_000
/** Milliseconds that it is handed out again: the client has the rest to begin its download. */
const reuse = 4 * 60_000
/** URLs remembered: each has some 800 bytes. */
const most = 10_000

export class SignedUrls {
  readonly #client: GcsClient
  readonly #urls: LRUCache<string, Promise<string>>

  constructor(client: GcsClient) {
    this.#client = client
    this.#urls = new LRUCache({ max: most, ttl: reuse })
  }

  /**
   * A V4 signed URL, else, when nothing here can sign, the public one.
   * @throws Failure unavailable: whoever signs does not
   * @see https://cloud.google.com/storage/docs/access-control/signed-urls
   */
  async of(file: File): Promise<string> {
    const { endpoint, signs } = this.#client
    if (!signs) {
      const path = file.name.split('/').map(encodeURIComponent).join('/')
      return `${endpoint}/${file.bucket.name}/${path}`
    }
    const known = this.#urls.get(file.name)
    if (known !== undefined) return known
    // The promise, so that all who ask at once wait for one signature.
    const signing = sign(file)
    this.#urls.set(file.name, signing)
    signing.catch(() => this.#urls.delete(file.name))
    return signing
  }
}

async function sign(file: File): Promise<string> {
  const expires = Date.now() + lifetime
  try {
    const [url] = await file.getSignedUrl({ version: 'v4', action: 'read', expires })
    return url
  } catch (error) {
    throw signingFailure(file.bucket.name, error)
  }
}
