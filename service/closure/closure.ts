/** What Nix knows of a store path, and of all that it needs at run time. */

/** Absolute, below the store folder: `/nix/store/<32 characters>-<name>`. */
export type StorePath = string

export interface PathInfo {
  readonly path: StorePath
  /** Bytes of the path's NAR serialisation: near what its files take. */
  readonly narSize: number
  /** Direct run-time references, the path itself among them if it names itself. */
  readonly references: readonly StorePath[]
}

/** Every path that is reachable from the paths that were asked for, each once, sorted by path. */
export type Closure = readonly PathInfo[]

/** How a closure is cut: layers in the order of the image, each with its store paths sorted. */
export type Plan = readonly (readonly StorePath[])[]

/** `/nix/store/<hash>-git-2.39.5` → `git-2.39.5`. */
export function storePathName(path: StorePath): string {
  return path.slice(path.lastIndexOf('/') + 1 + 33)
}
