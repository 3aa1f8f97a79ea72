/** How far the build of one image has come, by what stands in the folders of the service. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Workspace } from './slipway.ts'

/** Numbers of files. */
export interface BuildProgress {
  /** Trees of commits on their way into the Nix store. */
  readonly exported: number
  /** Trees of commits that are there. */
  readonly sources: number
  /** Packages that are held in the Nix store. */
  readonly held: number
  readonly plans: number
  /** Layers that are being packed. */
  readonly packing: number
  /** Layers, configs and manifests. */
  readonly blobs: number
  /** Layers that are remembered. */
  readonly layers: number
  readonly images: number
}

/** Synchronous: the answer is to be about one moment. */
export function buildProgress({ storage, state }: Workspace): BuildProgress {
  const count = (folder: string, prefix = '') =>
    namesIn(folder).filter((name) => name.startsWith(prefix)).length
  const below = (folder: string) => namesIn(folder).map((name) => join(folder, name))
  const roots = below(join(state, 'run/gcroots')).flatMap(namesIn)
  const staged = below(join(storage, '.staging')).flatMap(namesIn)
  return {
    exported: count(join(state, 'run/tmp'), 'source-'),
    sources: roots.filter((name) => name === 'source').length,
    held: roots.filter((name) => name.startsWith('output')).length,
    plans: count(join(storage, 'plans')),
    packing: staged.filter((name) => name.startsWith('layer-')).length,
    blobs: count(join(storage, 'blobs/sha256')),
    layers: count(join(storage, 'layers')),
    images: count(join(storage, 'images')),
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
