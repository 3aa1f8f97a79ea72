/** Composition: where images are kept. */

import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { FilesystemStore } from '../adapters/filesystem/filesystem-store.ts'
import type { StateFolder } from '../adapters/filesystem/state-folder.ts'
import type { StorageConfig } from '../config/storage-config.ts'
import type { ObjectStore, PieceReader, Redirects, VersionedObjects } from '../storage/ports.ts'
import { StagingSpace } from '../storage/staging-space.ts'
import type { Log } from '../telemetry/ports.ts'

/** Bytes of records of one kind in memory. */
const recordMemory = 16 * 1024 * 1024

/** A back end, and what it can do beyond the port. */
interface BackEnd {
  readonly store: ObjectStore
  readonly stagingFolder: string
  readonly pieces?: PieceReader
  readonly redirects?: Redirects
  readonly versioned?: VersionedObjects
  /** Each call is a request over a network: what it answered is worth remembering. */
  readonly isRemote: boolean
  /** Whether the packer computes the MD5 of layer files. */
  readonly md5: boolean
  stop(): void
}

export interface Storage extends BackEnd {
  readonly space: StagingSpace
  /** How records are read. */
  readonly recordOptions: { readonly memory?: number }
}

/** @throws Failure unavailable */
export async function composeStorage(
  config: StorageConfig,
  state: StateFolder,
  log: Log,
): Promise<Storage> {
  const backEnd = await openBackEnd(config, state, log)
  const folder = backEnd.stagingFolder
  const free = async () => {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  }
  return {
    ...backEnd,
    space: new StagingSpace({ folder, free }),
    recordOptions: backEnd.isRemote ? { memory: recordMemory } : {},
  }
}

async function openBackEnd(config: StorageConfig, state: StateFolder, log: Log): Promise<BackEnd> {
  if (config.backend === 'filesystem') {
    const store = await FilesystemStore.open(config.path, state.instance)
    const { stagingFolder } = store
    return { store, pieces: store, stagingFolder, isRemote: false, md5: false, stop() {} }
  }
  // Only when it is chosen: the client library takes as long to load as all the rest.
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
