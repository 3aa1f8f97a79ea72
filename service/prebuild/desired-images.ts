/**
 * Which images should exist before anybody asks for them.
 *
 *     refs in scope             images of each ref            what is missing
 *
 *     tag v2     ── pushed ──>  declared a, b; popular c  ──> those without a record
 *     tag v1     ── found ───>  declared a; popular c     ──> nothing, if a has a record
 *     main       ── found ───>  declared a, b; popular c  ──> all without a record, if a or b is one
 *
 * Only decisions: refs, dates, slipway.json and records are read by the caller, between the steps.
 */

import { canonicalName, type ImageName } from '../image/image-name.ts'
import { isTagRef, shortRefName } from '../image/ref-name.ts'
import type { Refs } from '../source/ports.ts'
import type { Globs } from '../text/globs.ts'
import { compareCodeUnits } from '../text/order.ts'
import type { PrebuildScope } from './ports.ts'

/** What `slipway.json` says, at one commit. */
export interface PrebuildConfig {
  readonly images: readonly ImageName[]
  /** Absent for whatever the settings let through, as is `branches`. */
  readonly tags?: Globs
  readonly branches?: Globs
}

export interface RefInScope {
  /** In full: `refs/tags/v1`. */
  readonly ref: string
  readonly commit: string
  /**
   * `pushed`: new or moved since the last table, whatever the date of its commit. `found`: as it was,
   * or met by a start-up, and not older than the settings allow.
   */
  readonly cause: 'pushed' | 'found'
}

export interface DesiredImage {
  readonly ref: string
  readonly commit: string
  readonly name: ImageName
  /** Whether `slipway.json` names it; otherwise it is one of the most pulled. */
  readonly declared: boolean
}

export interface RefsQuestion {
  readonly table: Refs
  /** The last table whose refs were all dealt with; absent at start-up. */
  readonly previous?: Refs | undefined
  /**
   * Full ref name → when its tag was made or, for branches and lightweight tags, its commit;
   * milliseconds since 1970. A ref that is missing counts as older than all others.
   */
  readonly dates: ReadonlyMap<string, number>
  readonly scope: PrebuildScope
  /** Milliseconds since 1970. */
  readonly now: number
}

/**
 * The refs that may have images to build: tags before branches, newest first, then by name.
 * The default branch is found whatever its age, for it is what `latest` means.
 */
export function refsInScope({
  table,
  previous,
  dates,
  scope,
  now,
}: RefsQuestion): readonly RefInScope[] {
  const oldest = now - scope.maxAge
  const dateOf = (ref: string): number => dates.get(ref) ?? Number.NEGATIVE_INFINITY
  const found: RefInScope[] = []
  for (const [ref, commit] of table.refs) {
    if (!isInScope(ref, table, scope)) continue
    if (previous && (previous.refs.get(ref) !== commit || !isInScope(ref, previous, scope))) {
      found.push({ ref, commit, cause: 'pushed' })
    } else if (dateOf(ref) >= oldest || ref === table.defaultBranch) {
      found.push({ ref, commit, cause: 'found' })
    }
  }
  return found.sort(
    (a, b) =>
      Number(isTagRef(b.ref)) - Number(isTagRef(a.ref)) ||
      // Infinity minus itself is not a number, which is as good as equal.
      dateOf(b.ref) - dateOf(a.ref) ||
      compareCodeUnits(a.ref, b.ref),
  )
}

/**
 * The images that a ref should have: the declared ones, then the popular ones, each once.
 * None if `slipway.json` leaves the ref out.
 * @param config what the ref's commit declares; undefined if nothing, or nothing that can be read
 * @param popular the most pulled first
 */
export function imagesOf(
  { ref, commit }: RefInScope,
  config: PrebuildConfig | undefined,
  popular: readonly ImageName[],
): readonly DesiredImage[] {
  const globs = isTagRef(ref) ? config?.tags : config?.branches
  if (globs !== undefined && !globs.matches(shortRefName(ref))) return []
  const declared = config?.images ?? []
  return eachOnce([
    ...declared.map((name) => ({ ref, commit, name, declared: true })),
    ...popular.map((name) => ({ ref, commit, name, declared: false })),
  ])
}

/**
 * The images of one ref that are to be built now. A ref that was found, not pushed, is left alone when
 * nothing that it declares is missing or, if it declares nothing, when it has any of its images: what
 * becomes popular later is not built for every ref of the past.
 * @param images as `imagesOf` gave them
 * @param isSettled whether the image has a record, or is known not to build
 */
export function missingImages(
  { cause }: RefInScope,
  images: readonly DesiredImage[],
  isSettled: (image: DesiredImage) => boolean,
): readonly DesiredImage[] {
  const missing = images.filter((image) => !isSettled(image))
  if (cause === 'pushed') return missing
  const isDue = images.some(({ declared }) => declared)
    ? missing.some(({ declared }) => declared)
    : missing.length === images.length
  return isDue ? missing : []
}

/** Of images that are the same but for their ref, the first: several refs may lead to one commit. */
export function eachOnce(images: Iterable<DesiredImage>): readonly DesiredImage[] {
  const first = new Map<string, DesiredImage>()
  for (const image of images) {
    const key = `${image.commit} ${canonicalName(image.name)}`
    if (!first.has(key)) first.set(key, image)
  }
  return [...first.values()]
}

/** Whether the settings let the ref through. */
function isInScope(ref: string, { defaultBranch }: Refs, scope: PrebuildScope): boolean {
  if (isTagRef(ref)) return scope.tags.matches(shortRefName(ref))
  return scope.branches ? scope.branches.matches(shortRefName(ref)) : ref === defaultBranch
}
