/** Progress of the build of one image, as the files of the service show it. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Workspace } from './slipway.ts'

/** Each field is a number of files. */
export interface BuildProgress {
  /** Exported source trees that are not in the Nix store yet. */
  readonly exported: number
  /** Source trees in the Nix store. */
  readonly sources: number
  /** GC roots of packages. */
  readonly held: number
  readonly plans: number
  /** Staged files of layers that are being packed. */
  readonly packing: number
  /** Layers, configs and manifests. */
  readonly blobs: number
  /** Layer records. */
  readonly layers: number
  readonly images: number
}

/** Counts the files. Synchronous, so that all numbers are of one moment. */
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
