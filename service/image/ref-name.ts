/** Names of git refs, and the image tags that they become. */
import { maxTagLength } from './reference.ts'

export const branchPrefix = 'refs/heads/'
export const tagPrefix = 'refs/tags/'

/** Returns whether a full ref name is a git tag. */
export function isTagRef(ref: string): boolean {
  return ref.startsWith(tagPrefix)
}

/** Removes the prefix: `refs/heads/feature/login` → `feature/login`. A name without it, such as a channel, is kept. */
export function shortRefName(ref: string): string {
  const prefix = [tagPrefix, branchPrefix].find((known) => ref.startsWith(known)) ?? ''
  return ref.slice(prefix.length)
}

/**
 * Returns the tag for a ref whose short name is not a valid tag: `feature/login` → `feature-login`. Each run
 * of characters that a tag may not contain becomes one `-`. A `-` or `.` at the start becomes `_`, because a
 * tag may not begin with either. The result is cut off after 128 characters.
 */
export function slugOf(shortName: string): string {
  return shortName
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[.-]/, '_')
    .slice(0, maxTagLength)
}
