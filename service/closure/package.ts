/** Packages, and the outcomes of evaluating them in a package set. */
import type { StorePath } from './closure.ts'

/** One output of a derivation. */
export interface Output {
  /** Store path of the derivation. */
  readonly derivation: StorePath
  readonly outputName: string
}

export interface EvaluatedPackage extends Output {
  /** Spelling in the request: `python3packages.requests`. */
  readonly name: string
  /** Spelling in the package set: `python3Packages.requests`. */
  readonly attribute: string
  readonly storePath: StorePath
  /** Nix system on which the derivation is built: `x86_64-linux`. */
  readonly system: string
  /** `meta.priority`. If two packages have the same file, the lower priority wins. */
  readonly priority: number
  /** `meta.mainProgram`: a file name below `bin`. */
  readonly mainProgram?: string
  /** `imageConfig` of the package, not validated. */
  readonly imageConfig?: unknown
  /** Outputs that `imageConfig` refers to; absent if it names no store path. */
  readonly requires?: readonly Output[]
}

const storePathGrammar = /\/nix\/store\/[0-9a-z]{32}-[0-9A-Za-z+\-._?=]+/g

/** Returns the store paths that an image with this package needs: its output, and those in its config. */
export function storePathsOf({ storePath, imageConfig, requires }: EvaluatedPackage): StorePath[] {
  const named = requires === undefined ? [] : JSON.stringify(imageConfig).match(storePathGrammar)
  return [...new Set([storePath, ...(named ?? [])])]
}

/** Outcome of evaluating one package name. */
export type PackageOutcome =
  | { readonly status: 'found'; readonly package: EvaluatedPackage }
  | {
      readonly status: 'missing'
      readonly name: string
      /** Attribute path of the set that lacks a part of the name; empty for the package set itself. */
      readonly level: string
      /** All attributes of that set. */
      readonly known: readonly string[]
    }
  | {
      readonly status: 'set'
      readonly name: string
      /** Some members of the set, in byte order. */
      readonly members: readonly string[]
    }
  | { readonly status: 'not-a-derivation'; readonly name: string; readonly type: string }
  | { readonly status: 'failed'; readonly name: string; readonly message: string }
  | { readonly status: 'timed-out'; readonly name: string; readonly seconds: number }
