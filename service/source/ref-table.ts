/**
 * The branches and tags of a git repository at one moment, and which of them a tag names.
 *
 *     refs/heads/main           1111…   (default branch)
 *     refs/heads/feature/login  2222…   latest → 1111…        main, v1 → themselves
 *     refs/tags/v1              3333…   feature-login → 2222… (a slug: `/` cannot stand in a tag)
 *
 * All look-ups are prepared once, so that resolving costs one map look-up for a name.
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
   * @param refs full ref name and the full id of the commit that it leads to; refs that are neither
   *   branches nor tags are left out
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
   * What a tag means as far as names go: `latest`, then tags, branches, slugs. Commit ids, which
   * need the repository itself, are left to the caller: a full one goes before all names, an
   * abbreviated one after them.
   */
  resolve(tag: string): Revision | undefined {
    return (
      (tag === defaultBranchTag ? this.#revision(this.defaultBranch) : undefined) ??
      this.#revision(tagPrefix + tag) ??
      this.#revision(branchPrefix + tag) ??
      this.#revision(this.#slugs.get(tag))
    )
  }

  /** Every tag that `resolve` knows, each once, in byte order. */
  tags(): readonly string[] {
    return this.#tags
  }

  /** Returns the image tag of a ref: its name or slug. Undefined if that tag resolves to another commit. */
  tagOf(ref: string): string | undefined {
    const name = shortRefName(ref)
    const tag = isTag(name) ? name : slugOf(name)
    return this.resolve(tag)?.id === this.refs.get(ref) ? tag : undefined
  }

  /** Whether both tables say the same of every name. */
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

/** Slug → ref. Where several refs have one slug, tags win over branches, then the name decides. */
function slugsOf(refs: Iterable<string>): Map<string, string> {
  const slugs = new Map<string, string>()
  for (const ref of refs) {
    const name = shortRefName(ref)
    if (isTag(name)) continue
    const slug = slugOf(name)
    const holder = slugs.get(slug)
    if (holder === undefined || goesBefore(ref, holder)) slugs.set(slug, ref)
  }
  return slugs
}

function goesBefore(ref: string, other: string): boolean {
  if (isTagRef(ref) !== isTagRef(other)) return isTagRef(ref)
  return Buffer.compare(Buffer.from(ref), Buffer.from(other)) < 0
}

/** Tags hold ASCII only, for which JavaScript's own order is the byte order. */
function tagsOf(refs: Iterable<string>, slugs: Iterable<string>, hasDefault: boolean): string[] {
  const tags = new Set(slugs)
  if (hasDefault) tags.add(defaultBranchTag)
  for (const ref of refs) {
    const name = shortRefName(ref)
    if (isTag(name)) tags.add(name)
  }
  return [...tags].sort()
}
