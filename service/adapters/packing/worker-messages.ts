/** Messages between the service and its packing workers. Messages are cloned, so an error is sent as plain data. */
import type { StorePath } from '../../closure/closure.ts'
import type { Compression } from '../../image/keys.ts'
import type { LinkFarm } from '../../image/link-farm.ts'
import type { PackedLayer } from '../../storage/ports.ts'
import type { Collision } from '../link-farm/merge-trees.ts'
import type { UnusedLibrary } from './native-library.ts'

/** `workerData` of a worker. */
export interface WorkerSettings {
  readonly compression: Compression
}

export type MessageToWorker =
  | { readonly kind: 'pack'; readonly job: PackJob }
  /** Requests help with a large layer that another worker packs. */
  | { readonly kind: 'help'; readonly memory: SharedArrayBuffer; readonly layerNumber: number }

export type MessageFromWorker =
  /** The first message of each worker. */
  | WorkerStarted
  /** The layer of the current job is large: idle workers can compress chunks of it. */
  | { readonly kind: 'large'; readonly memory: SharedArrayBuffer; readonly layerNumber: number }
  | { readonly kind: 'packed'; readonly outcome: PackOutcome }
  /** The worker has left the layer that it helped with; `isFailed` if it could not compress a chunk. */
  | { readonly kind: 'helped'; readonly isFailed: boolean }

export interface WorkerStarted {
  readonly kind: 'started'
  /** Name of the compressor that the worker uses. */
  readonly compressor: string
  readonly unusedLibraries: readonly UnusedLibrary[]
}

export type LayerContent =
  | { readonly kind: 'store-paths'; readonly paths: readonly StorePath[] }
  | { readonly kind: 'link-farm'; readonly linkFarm: LinkFarm }

export interface PackJob {
  readonly content: LayerContent
  /** Folder of this machine that stands for /nix/store. */
  readonly storeFolder: string
  /** The layer file to create. */
  readonly path: string
  /** True if the MD5 of the file is computed. @default false */
  readonly md5?: boolean
}

/** A packed layer, as plain data. */
export type LayerFile = Omit<PackedLayer, 'discard'>

export interface Packed {
  readonly layer: LayerFile
  /** Collisions between the packages of a link farm; empty for store paths. */
  readonly collisions: readonly Collision[]
}

export type PackOutcome =
  | { readonly ok: true; readonly packed: Packed }
  | { readonly ok: false; readonly message: string; readonly code: string | undefined }
