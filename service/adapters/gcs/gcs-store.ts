/** The object store in a bucket of Google Cloud Storage. */

import { mkdir, rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Bucket, File } from '@google-cloud/storage'
import { immutableCacheControl } from '../../image/descriptor.ts'
import type {
  ByteRange,
  LocalFile,
  ObjectStore,
  PutOptions,
  Redirects,
  StagingFolder,
  VersionedObjects,
} from '../../storage/ports.ts'
import { checkedStorageKey } from '../../storage/storage-key.ts'
import type { Log } from '../../telemetry/ports.ts'
import { checkAccess } from './access.ts'
import { isNotFound, isPreconditionFailed } from './bucket-errors.ts'
import { GcsClient } from './client.ts'
import { download } from './download.ts'
import { Requests } from './requests.ts'
import type { GcsSettings } from './settings.ts'
import { SignedUrls } from './signed-urls.ts'
import { Uploads } from './upload.ts'
import { GcsVersionedObjects } from './versioned-objects.ts'

/** Prefix of the keys whose objects never change. */
const blobs = 'blobs/'

export interface GcsStoreOptions extends GcsSettings {
  /** Folder for layers before they are uploaded. Everything in it is deleted at the start. */
  readonly stagingFolder: string
  readonly log: Log
  /** Milliseconds before the first retry of a request. @default 200 */
  readonly retryDelay?: number
}

export class GcsStore implements ObjectStore, StagingFolder {
  readonly stagingFolder: string
  readonly versioned: VersionedObjects
  /** Absent if the settings turn redirects off. */
  readonly redirects?: Redirects
  readonly #client: GcsClient
  readonly #bucket: Bucket
  readonly #requests: Requests
  readonly #uploads: Uploads

  private constructor(client: GcsClient, options: GcsStoreOptions) {
    const { bucket: name, stagingFolder, redirect, log, retryDelay } = options
    this.stagingFolder = stagingFolder
    this.#client = client
    this.#bucket = client.bucket(name)
    this.#requests = new Requests({
      bucket: name,
      log,
      retryDelay,
      probe: () => this.#bucket.getFiles({ maxResults: 1, autoPaginate: false }),
    })
    this.#uploads = new Uploads(client, this.#requests)
    this.versioned = new GcsVersionedObjects(this.#bucket, this.#requests, this.#uploads)
    const urls = new SignedUrls(client)
    if (redirect) {
      this.redirects = { url: async (key) => new URL(await urls.of(this.#file(key))) }
    }
  }

  /**
   * Deletes the layers that a crash left behind, and checks that the bucket can be used.
   * @throws Failure unavailable that says what to change
   */
  static async open(options: GcsStoreOptions): Promise<GcsStore> {
    const { stagingFolder } = options
    await rm(stagingFolder, { recursive: true, force: true })
    await mkdir(stagingFolder, { recursive: true, mode: 0o700 })
    const client = await GcsClient.open(options)
    await checkAccess(client, options)
    return new GcsStore(client, options)
  }

  outage(): string | undefined {
    return this.#requests.failure
  }

  async stat(key: string): Promise<{ size: number } | undefined> {
    try {
      const [{ size }] = await this.#requests.send(() => this.#file(key).getMetadata())
      return { size: Number(size) }
    } catch (error) {
      return notFoundAsUndefined(error)
    }
  }

  async get(key: string, range?: ByteRange): Promise<Readable | undefined> {
    const { name } = this.#file(key)
    try {
      return await this.#requests.send(() => download(this.#client, this.#bucket.name, name, range))
    } catch (error) {
      return notFoundAsUndefined(error)
    }
  }

  async put(
    key: string,
    content: Uint8Array | LocalFile,
    options: PutOptions = {},
  ): Promise<'stored' | 'exists'> {
    try {
      await this.#uploads.send({
        file: this.#file(key),
        content,
        contentType: options.contentType ?? 'application/octet-stream',
        cacheControl: key.startsWith(blobs) ? immutableCacheControl : 'no-store',
        ...(options.ifAbsent ? { ifGeneration: 0 } : {}),
      })
      return 'stored'
    } catch (error) {
      if (isPreconditionFailed(error)) return 'exists'
      throw error
    } finally {
      // Deleted even after a failure: a layer that could not be stored must not fill the disk.
      if ('path' in content) await rm(content.path, { force: true })
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await this.#requests.send(() => this.#file(key).delete())
    } catch (error) {
      notFoundAsUndefined(error)
    }
  }

  async *list(prefix: string): AsyncIterable<string> {
    let pageToken: string | undefined
    do {
      const query = { prefix, autoPaginate: false, ...(pageToken ? { pageToken } : {}) }
      const [files, next] = await this.#requests.send(() => this.#bucket.getFiles(query))
      for (const { name } of files) yield name
      pageToken = (next as { pageToken?: string } | null)?.pageToken
    } while (pageToken !== undefined)
  }

  /** Ends all retries. */
  close(): void {
    this.#requests.close()
  }

  #file(key: string): File {
    return this.#bucket.file(checkedStorageKey(key))
  }
}

function notFoundAsUndefined(error: unknown): undefined {
  if (isNotFound(error)) return undefined
  throw error
}
