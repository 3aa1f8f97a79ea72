/** Names of git refs, and the tags under which images of a ref are pulled. */
import { maxTagLength } from './reference.ts'

export const branchPrefix = 'refs/heads/'
export const tagPrefix = 'refs/tags/'

/** Returns whether a full ref name is that of a git tag. */
export function isTagRef(ref: string): boolean {
  return ref.startsWith(tagPrefix)
}

/** `refs/heads/feature/login` → `feature/login`. */
export function shortRefName(ref: string): string {
  return ref.slice(isTagRef(ref) ? tagPrefix.length : branchPrefix.length)
}

/**
 * The tag under which a ref can be pulled whose short name cannot be written as a tag.
 * Each run of characters that a tag may not hold becomes one `-`, a `-` or `.` at the start, where
 * neither may stand, becomes `_`, and what goes beyond 128 characters is cut off.
 */
export function slugOf(shortName: string): string {
  return shortName
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[.-]/, '_')
    .slice(0, maxTagLength)
}
