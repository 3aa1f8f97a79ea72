/** URLs from which clients fetch objects directly. */
import type { File } from '@google-cloud/storage'
import { LRUCache } from 'lru-cache'
import { signingFailure } from './bucket-errors.ts'
import type { GcsClient } from './client.ts'

/** Milliseconds that a signed URL is valid. */
const lifetime = 5 * 60_000
/** Milliseconds that a signed URL is reused. The client has the remaining minute to begin its download. */
const reuse = 4 * 60_000
/** Most URLs in the cache. Each has some 800 bytes. */
const mostUrls = 10_000

export class SignedUrls {
  readonly #client: GcsClient
  readonly #urls = new LRUCache<string, Promise<string>>({ max: mostUrls, ttl: reuse })

  constructor(client: GcsClient) {
    this.#client = client
  }

  /**
   * Returns a V4 signed URL, or the public URL if the service cannot sign.
   * @throws Failure unavailable when signing fails
   * @see https://cloud.google.com/storage/docs/access-control/signed-urls
   */
  async of(file: File): Promise<string> {
    const { apiEndpoint, canSign } = this.#client
    if (!canSign) {
      const path = file.name.split('/').map(encodeURIComponent).join('/')
      return `${apiEndpoint}/${file.bucket.name}/${path}`
    }
    const known = this.#urls.get(file.name)
    if (known !== undefined) return known
    // The promise is cached, so that concurrent callers share one signature.
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
