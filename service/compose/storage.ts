/** Composes the storage room: a back end, with blobs, records and images on it. */
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { FilesystemStore } from '../adapters/filesystem/filesystem-store.ts'
import type { StateFolder } from '../adapters/filesystem/state-folder.ts'
import type { StorageConfig } from '../config/storage-config.ts'
import type { Digest } from '../image/descriptor.ts'
import { Blobs } from '../storage/blobs.ts'
import { CachedBlobs } from '../storage/cached-blobs.ts'
import { CachedRecords } from '../storage/cached-records.ts'
import { Catalog } from '../storage/catalog.ts'
import { imageRecord } from '../storage/image-record.ts'
import type {
  BlobStorage,
  DiskSpace,
  ImageRecord,
  ObjectStore,
  PieceReader,
  RecordStore,
  Redirects,
  VersionedObjects,
} from '../storage/ports.ts'
import { Records } from '../storage/records.ts'
import { StagingSpace } from '../storage/staging-space.ts'
import { StoredImages } from '../storage/stored-images.ts'
import type { Log } from '../telemetry/ports.ts'
import type { ServiceEvents } from './events.ts'

/** Bytes of the cache of one kind of record. */
const recordCacheSize = 16 * 1024 * 1024

/** A back end, and its capabilities beyond `ObjectStore`. */
interface BackEnd {
  readonly store: ObjectStore
  readonly stagingFolder: string
  readonly pieces?: PieceReader
  readonly redirects?: Redirects
  readonly versioned?: VersionedObjects
  /** Each call is a round trip over a network, so its results are cached. */
  readonly isRemote: boolean
  /** The packer computes the MD5 of layer files. */
  readonly md5: boolean
  stop(): void
}

export interface Storage extends Omit<BackEnd, 'isRemote'> {
  readonly space: DiskSpace
  readonly blobs: BlobStorage
  readonly imageRecords: RecordStore<ImageRecord>
  readonly images: StoredImages
  readonly catalog: Catalog
  /** Returns the store of one kind of records. */
  records<T extends object>(folder: string, schema: z.ZodType<T>): RecordStore<T>
  /** Like `records`, for records that change only when they are repaired. With a remote back end, caches them. */
  immutableRecords<T extends object>(folder: string, schema: z.ZodType<T>): RecordStore<T>
}

/** @throws Failure unavailable */
export async function composeStorage(
  config: StorageConfig,
  state: StateFolder,
  events: ServiceEvents,
  log: Log,
): Promise<Storage> {
  const { isRemote, ...backEnd } = await openBackEnd(config, state, log)
  const { store, stagingFolder } = backEnd
  const plainBlobs = new Blobs({ ...backEnd, log })
  const onLost = (digest: Digest) => events.emit('blob-lost', digest)
  const blobs = isRemote ? new CachedBlobs({ blobs: plainBlobs, onLost, log }) : plainBlobs
  const records = <T extends object>(folder: string, schema: z.ZodType<T>) =>
    new Records(store, folder, schema, log)
  const immutableRecords = <T extends object>(folder: string, schema: z.ZodType<T>) => {
    const plain = records(folder, schema)
    return isRemote ? new CachedRecords(plain, recordCacheSize) : plain
  }
  const imageRecords = immutableRecords('images', imageRecord)
  const images = new StoredImages(imageRecords, blobs)
  events.on('blob-lost', (digest) => images.forgetBlob(digest))
  const free = async () => {
    const { bavail, bsize } = await statfs(stagingFolder)
    return bavail * bsize
  }
  return {
    ...backEnd,
    space: new StagingSpace({ folder: stagingFolder, free }),
    blobs,
    imageRecords,
    images,
    catalog: new Catalog(imageRecords),
    records,
    immutableRecords,
  }
}

async function openBackEnd(config: StorageConfig, state: StateFolder, log: Log): Promise<BackEnd> {
  if (config.backend === 'filesystem') {
    const store = await FilesystemStore.open(config.path, state.instance)
    const { stagingFolder } = store
    return { store, pieces: store, stagingFolder, isRemote: false, md5: false, stop() {} }
  }
  // Imported only when a bucket is configured: Google's client library takes as long to load as the rest.
  const { GcsStore } = await import('../adapters/gcs/gcs-store.ts')
  const store = await GcsStore.open({
    ...config,
    stagingFolder: join(state.temporary, 'layers'),
    log,
  })
  const { stagingFolder, redirects, versioned } = store
  return {
    store,
    stagingFolder,
    ...(redirects === undefined ? {} : { redirects }),
    versioned,
    isRemote: true,
    md5: true,
    stop: () => store.close(),
  }
}
