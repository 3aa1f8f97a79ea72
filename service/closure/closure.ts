/** Store paths, closures, and plans that cut a closure into layers. */

/** Absolute path below the store folder: `/nix/store/<32 characters>-<name>`. */
export type StorePath = string

export interface PathInfo {
  readonly path: StorePath
  /** Bytes of the path's NAR serialisation: about the total size of its files. */
  readonly narSize: number
  /** Direct run-time references; a path may refer to itself. */
  readonly references: readonly StorePath[]
}

/** All paths that are reachable from the packages of an image, each once, sorted by path. */
export type Closure = readonly PathInfo[]

/** Layers of an image in their order, each with its store paths sorted. */
export type Plan = readonly (readonly StorePath[])[]

/** Returns the name without the hash: `/nix/store/<hash>-git-2.39.5` → `git-2.39.5`. */
export function storePathName(path: StorePath): string {
  return path.slice(path.lastIndexOf('/') + 1 + 33)
}
