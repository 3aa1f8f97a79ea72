/** What the service and a packing thread tell each other. Structured clones: errors go as plain data. */

import type { StorePath } from '../../closure/closure.ts'
import type { Compression } from '../../image/keys.ts'
import type { LinkFarm } from '../../image/link-farm.ts'
import type { PackedLayer } from '../../storage/ports.ts'
import type { Collision } from '../link-farm/merge-trees.ts'

/** What a thread is started with. */
export interface Equipment {
  readonly compression: Compression
}

/** What a thread is told. */
export type Order =
  | { readonly kind: 'pack'; readonly job: Job }
  /** To compress pieces of a layer that another thread packs. */
  | { readonly kind: 'help'; readonly pieces: SharedArrayBuffer; readonly layer: number }
  /** To end when there is nothing more to do. */
  | { readonly kind: 'end' }

/** What a thread tells. */
export type Report =
  /** The first: the name of the compressor that it has found. */
  | { readonly kind: 'started'; readonly compressor: string }
  /** Its layer is large: whoever is idle may help. */
  | { readonly kind: 'large'; readonly pieces: SharedArrayBuffer; readonly layer: number }
  | { readonly kind: 'packed'; readonly outcome: Outcome }
  /** Whether it could. */
  | { readonly kind: 'helped'; readonly worked: boolean }

export type Content =
  | { readonly kind: 'store-paths'; readonly paths: readonly StorePath[] }
  | { readonly kind: 'link-farm'; readonly linkFarm: LinkFarm }

export interface Job {
  readonly content: Content
  /** Where /nix/store is on this machine. */
  readonly storeFolder: string
  /** The file to be made. */
  readonly path: string
  /** Whether the MD5 of the file is wanted. @default false */
  readonly md5?: boolean
}

/** A packed layer, as plain data. */
export type LayerFile = Omit<PackedLayer, 'discard'>

export interface Packed {
  readonly layer: LayerFile
  /** Of a linkFarm. */
  readonly collisions: readonly Collision[]
}

export type Outcome =
  | { readonly ok: true; readonly packed: Packed }
  | { readonly ok: false; readonly message: string; readonly code: string | undefined }
