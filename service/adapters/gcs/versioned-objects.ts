/** Objects with conditional writes. The version of an object is its generation in the bucket. */

import type { Bucket } from '@google-cloud/storage'
import type { VersionedObjects } from '../../storage/ports.ts'
import { isNotFound, isPreconditionFailed } from './bucket-errors.ts'
import type { Requests } from './requests.ts'
import type { Uploads } from './upload.ts'

/** A lease whose renewal waits behind large uploads would look like the lease of a dead instance. */
const urgent = { isUrgent: true }

/** @see https://cloud.google.com/storage/docs/request-preconditions */
export class GcsVersionedObjects implements VersionedObjects {
  readonly #bucket: Bucket
  readonly #requests: Requests
  readonly #uploads: Uploads

  constructor(bucket: Bucket, requests: Requests, uploads: Uploads) {
    this.#bucket = bucket
    this.#requests = requests
    this.#uploads = uploads
  }

  async version(key: string): Promise<string | undefined> {
    try {
      const request = () => this.#bucket.file(key).getMetadata()
      const [metadata] = await this.#requests.send(request, urgent)
      return String(metadata.generation)
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async write(
    key: string,
    content: Uint8Array,
    expected: string | undefined,
  ): Promise<string | undefined> {
    try {
      return await this.#uploads.send({
        file: this.#bucket.file(key),
        content,
        contentType: 'application/json',
        cacheControl: 'no-store',
        ifGeneration: expected ?? 0,
        ...urgent,
      })
    } catch (error) {
      if (isPreconditionFailed(error)) return undefined
      throw error
    }
  }

  async remove(key: string, version: string): Promise<void> {
    try {
      const ifGenerationMatch = version as unknown as number
      const request = () => this.#bucket.file(key).delete({ ifGenerationMatch })
      await this.#requests.send(request, urgent)
    } catch (error) {
      if (!isNotFound(error) && !isPreconditionFailed(error)) throw error
    }
  }
}
