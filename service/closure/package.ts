/** Packages as an evaluation of the package set finds them. */
import type { StorePath } from './closure.ts'

/** One output of a derivation. */
export interface Output {
  /** Store path of the derivation. */
  readonly derivation: StorePath
  readonly outputName: string
}

export interface EvaluatedPackage extends Output {
  /** As it was asked for: `python3packages.requests`. */
  readonly name: string
  /** As the set spells it: `python3Packages.requests`. */
  readonly attribute: string
  readonly storePath: StorePath
  /** The system that the derivation is built on: `x86_64-linux`. */
  readonly system: string
  /** `meta.priority`; the lower wins where two packages bring the same file. */
  readonly priority: number
  /** `meta.mainProgram`: a file name below `bin`. */
  readonly mainProgram?: string
  /** `imageConfig`, as the package gives it: not validated. */
  readonly imageConfig?: unknown
  /** The outputs that the image config refers to; absent if it names no store path. */
  readonly requires?: readonly Output[]
}

const storePathGrammar = /\/nix\/store\/[0-9a-z]{32}-[0-9A-Za-z+\-._?=]+/g

/** What an image with this package must hold: its output, and what its config refers to. */
export function storePathsOf({ storePath, imageConfig, requires }: EvaluatedPackage): StorePath[] {
  const named = requires === undefined ? [] : JSON.stringify(imageConfig).match(storePathGrammar)
  return [...new Set([storePath, ...(named ?? [])])]
}

/** What became of one name of an evaluation. */
export type PackageOutcome =
  | { readonly status: 'found'; readonly package: EvaluatedPackage }
  | {
      readonly status: 'missing'
      readonly name: string
      /** The set in which a part of the name was not found; empty for the package set itself. */
      readonly level: string
      /** All that this set has. */
      readonly known: readonly string[]
    }
  | {
      readonly status: 'set'
      readonly name: string
      /** Some of the set's members, in byte order. */
      readonly members: readonly string[]
    }
  | { readonly status: 'not-a-derivation'; readonly name: string; readonly type: string }
  | { readonly status: 'failed'; readonly name: string; readonly message: string }
  | { readonly status: 'timed-out'; readonly name: string; readonly seconds: number }
