/**
 * Branches and tags of a git repository at one moment, and the ref that each image tag or slug names.
 *
 *     refs/heads/main           1111…   (default branch)
 *     refs/heads/feature/login  2222…   latest → 1111…        main, v1 → themselves
 *     refs/tags/v1              3333…   feature-login → 2222… (a slug: a tag cannot contain `/`)
 *
 * The constructor prepares all look-ups, so that resolving a name costs a few map look-ups.
 */

import { branchPrefix, isTagRef, shortRefName, slugOf, tagPrefix } from '../image/ref-name.ts'
import { isTag } from '../image/reference.ts'
import type { Refs, Revision } from './ports.ts'

const defaultBranchTag = 'latest'

/** Immutable. */
export class RefTable implements Refs {
  /** Full ref name → full commit id, of branches and tags. */
  readonly refs: ReadonlyMap<string, string>
  /** Full name of the remote's default branch, if it has one that exists. */
  readonly defaultBranch: string | undefined
  readonly #slugs: ReadonlyMap<string, string>
  readonly #tags: readonly string[]

  /**
   * @param refs full ref name, and full id of the commit that it leads to; only branches and tags are used
   * @param defaultBranch full name of the branch that `latest` means
   */
  constructor(refs: Iterable<readonly [ref: string, commit: string]>, defaultBranch?: string) {
    const table = new Map<string, string>()
    for (const [ref, commit] of refs) {
      if (ref.startsWith(branchPrefix) || ref.startsWith(tagPrefix)) table.set(ref, commit)
    }
    this.refs = table
    this.defaultBranch =
      defaultBranch?.startsWith(branchPrefix) && table.has(defaultBranch)
        ? defaultBranch
        : undefined
    this.#slugs = slugsOf(table.keys())
    this.#tags = tagsOf(table.keys(), this.#slugs.keys(), this.defaultBranch !== undefined)
  }

  /**
   * Resolves a tag by names: `latest`, then tags, branches, slugs. Commit ids need the repository itself,
   * so the caller tries them: a full one before this call, an abbreviated one after it.
   */
  resolve(tag: string): Revision | undefined {
    return (
      (tag === defaultBranchTag ? this.#revision(this.defaultBranch) : undefined) ??
      this.#revision(tagPrefix + tag) ??
      this.#revision(branchPrefix + tag) ??
      this.#revision(this.#slugs.get(tag))
    )
  }

  /** Returns every tag that `resolve` knows, each once, in byte order. */
  tags(): readonly string[] {
    return this.#tags
  }

  /** Returns the image tag of a ref: its name or slug. Undefined if that tag resolves to another commit. */
  tagOf(ref: string): string | undefined {
    const name = shortRefName(ref)
    const tag = isTag(name) ? name : slugOf(name)
    return this.resolve(tag)?.id === this.refs.get(ref) ? tag : undefined
  }

  /** Returns whether both tables resolve every name to the same commit. */
  equals(other: RefTable): boolean {
    if (this.defaultBranch !== other.defaultBranch || this.refs.size !== other.refs.size)
      return false
    for (const [ref, commit] of this.refs) {
      if (other.refs.get(ref) !== commit) return false
    }
    return true
  }

  #revision(ref: string | undefined): Revision | undefined {
    if (ref === undefined) return undefined
    const id = this.refs.get(ref)
    return id === undefined ? undefined : { id, ref }
  }
}

/**
 * Maps slugs to refs. If several refs have the same slug, tags win over branches, then the first name wins.
 */
function slugsOf(refs: Iterable<string>): Map<string, string> {
  const slugs = new Map<string, string>()
  for (const ref of refs) {
    const name = shortRefName(ref)
    if (isTag(name)) continue
    const slug = slugOf(name)
    const winner = slugs.get(slug)
    if (winner === undefined || winsSlug(ref, winner)) slugs.set(slug, ref)
  }
  return slugs
}

function winsSlug(ref: string, other: string): boolean {
  if (isTagRef(ref) !== isTagRef(other)) return isTagRef(ref)
  return ref < other
}

/** Sorts with JavaScript's own order, which is the byte order for tags: they are ASCII. */
function tagsOf(refs: Iterable<string>, slugs: Iterable<string>, hasDefault: boolean): string[] {
  const tags = new Set(slugs)
  if (hasDefault) tags.add(defaultBranchTag)
  for (const ref of refs) {
    const name = shortRefName(ref)
    if (isTag(name)) tags.add(name)
  }
  return [...tags].sort()
}
