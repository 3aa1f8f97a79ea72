/** Composition: where images are kept. */
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { FilesystemStore } from '../adapters/filesystem/filesystem-store.ts'
import type { StateFolder } from '../adapters/filesystem/state-folder.ts'
import type { StorageConfig } from '../config/storage-config.ts'
import { TemporarySpace } from '../storage/staging-space.ts'
import type { Log, ObjectStore } from '../telemetry/ports.ts'

/** Bytes of records of one kind in memory. */
const recordMemory = 16 * 1024 * 1024

export interface Storage {
  readonly store: ObjectStore
  /** Where layers are made before they are stored. */
  readonly stagingFolder: string
  readonly space: TemporarySpace
  /** How records are read. */
  readonly recordOptions: { readonly memory?: number }
  /** Whether layer files are told with their MD5. */
  readonly md5: boolean
  stop(): void
}

/** @throws Failure unavailable */
export async function composeStorage(
  config: StorageConfig,
  state: StateFolder,
  log: Log,
): Promise<Storage> {
  const { store, md5, stop } = await openStore(config, state, log)
  const folder = store.stagingFolder
  const free = async () => {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  }
  return {
    store,
    stagingFolder: folder,
    space: new TemporarySpace({ folder, free }),
    recordOptions: store.isRemote ? { memory: recordMemory } : {},
    md5,
    stop,
  }
}

interface Opened {
  readonly store: ObjectStore & { readonly stagingFolder: string }
  readonly md5: boolean
  stop(): void
}

async function openStore(config: StorageConfig, state: StateFolder, log: Log): Promise<Opened> {
  if (config.backend === 'filesystem') {
    const store = await FilesystemStore.open(config.path, state.instance)
    return { store, md5: false, stop: () => {} }
  }
  // Only when it is chosen: the client library takes as long to load as all the rest.
  const { GcsStore } = await import('../adapters/gcs/gcs-store.ts')
  const store = await GcsStore.open({
    ...config,
    stagingFolder: join(state.temporary, 'layers'),
    log,
  })
  return { store, md5: true, stop: () => store.close() }
}
