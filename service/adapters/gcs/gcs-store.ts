/** The object store in a bucket of Google Cloud Storage. */

import { mkdir, rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Bucket } from '@google-cloud/storage'
import {
  type ByteRange,
  checkedStorageKey,
  type LocalFile,
  type ObjectStore,
  type PutOptions,
  type Redirects,
  type StagingFolder,
  type VersionedObjects,
} from '../../storage/ports.ts'
import type { Log } from '../../telemetry/ports.ts'
import { checkAccess } from './access.ts'
import { createClient, type GcsClient } from './client.ts'
import { download } from './download.ts'
import { isAbsent, isConflict } from './fault.ts'
import { Requests } from './requests.ts'
import type { GcsSettings } from './settings.ts'
import { SignedUrls } from './signed-urls.ts'
import { immutable, Uploads } from './upload.ts'
import { GcsVersionedObjects } from './versioned-objects.ts'

/** Keys of objects that are written once and never change. */
const blobs = 'blobs/'

export interface GcsStoreOptions extends GcsSettings {
  /** Where layers are made before they are uploaded. Nobody else writes there. */
  readonly stagingFolder: string
  readonly log: Log
}

export class GcsStore implements ObjectStore, StagingFolder {
  readonly stagingFolder: string
  readonly versioned: VersionedObjects
  /** Absent where the settings turn redirects off. */
  readonly redirects?: Redirects
  readonly #client: GcsClient
  readonly #bucket: Bucket
  readonly #requests: Requests
  readonly #uploads: Uploads

  private constructor(client: GcsClient, options: GcsStoreOptions) {
    const { bucket: name, stagingFolder, redirect, log } = options
    this.stagingFolder = stagingFolder
    this.#client = client
    this.#bucket = client.storage.bucket(name)
    this.#requests = new Requests({
      bucket: name,
      log,
      probe: () => this.#bucket.getFiles({ maxResults: 1, autoPaginate: false }),
    })
    this.#uploads = new Uploads(this.#requests)
    this.versioned = new GcsVersionedObjects(this.#bucket, this.#requests, this.#uploads)
    const urls = new SignedUrls(client)
    if (redirect) {
      this.redirects = { url: async (key) => new URL(await urls.of(this.#file(key))) }
    }
  }

  /**
   * Forgets what a crash left of layers, and looks whether the bucket can be used.
   * @throws Failure unavailable, which says what to change
   */
  static async open(options: GcsStoreOptions): Promise<GcsStore> {
    const { stagingFolder } = options
    await rm(stagingFolder, { recursive: true, force: true })
    await mkdir(stagingFolder, { recursive: true, mode: 0o700 })
    const store = new GcsStore(await createClient(options), options)
    await checkAccess(store.#client, options)
    return store
  }

  outage(): string | undefined {
    return this.#requests.failure
  }

  async stat(key: string): Promise<{ size: number } | undefined> {
    try {
      const [{ size }] = await this.#requests.send(() => this.#file(key).getMetadata())
      return { size: Number(size) }
    } catch (error) {
      return absentAsUndefined(error)
    }
  }

  async get(key: string, range?: ByteRange): Promise<Readable | undefined> {
    const { name } = this.#file(key)
    try {
      return await this.#requests.send(() => download(this.#client, this.#bucket.name, name, range))
    } catch (error) {
      return absentAsUndefined(error)
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
        cacheControl: key.startsWith(blobs) ? immutable : 'no-store',
        ...(options.ifAbsent ? { ifGeneration: 0 } : {}),
      })
      return 'stored'
    } catch (error) {
      if (isConflict(error)) return 'exists'
      throw error
    } finally {
      // Consumed however it ends: a layer that could not be stored must not fill the disk.
      if ('path' in content) await rm(content.path, { force: true })
    }
  }

  async delete(key: string): Promise<void> {
    try {
      await this.#requests.send(() => this.#file(key).delete())
    } catch (error) {
      absentAsUndefined(error)
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

  /** Tries nothing again any more. */
  close(): void {
    this.#requests.close()
  }

  #file(key: string) {
    return this.#bucket.file(checkedStorageKey(key))
  }
}

function absentAsUndefined(error: unknown): undefined {
  if (isAbsent(error)) return undefined
  throw error
}
