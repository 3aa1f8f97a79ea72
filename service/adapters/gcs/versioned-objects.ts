/** Objects that are written only if nobody else wrote them meanwhile. Their version is their generation. */

import type { Bucket } from '@google-cloud/storage'
import type { VersionedObjects } from '../../storage/ports.ts'
import { isAbsent, isConflict } from './fault.ts'
import type { Requests } from './requests.ts'
import type { Uploads } from './upload.ts'

/** A lease that is renewed behind large uploads would look like that of a dead instance. */
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
      const [metadata] = await this.#requests.send(
        () => this.#bucket.file(key).getMetadata(),
        urgent,
      )
      return String(metadata.generation)
    } catch (error) {
      if (isAbsent(error)) return undefined
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
      if (isConflict(error)) return undefined
      throw error
    }
  }

  async remove(key: string, version: string): Promise<void> {
    try {
      const ifGenerationMatch = version as unknown as number
      const request = () => this.#bucket.file(key).delete({ ifGenerationMatch })
      await this.#requests.send(request, urgent)
    } catch (error) {
      if (!isAbsent(error) && !isConflict(error)) throw error
    }
  }
}
