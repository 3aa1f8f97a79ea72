/**
 * References: the tag or digest after a repository name.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
 */
import { truncate } from '../text/truncate.ts'
import type { Digest } from './descriptor.ts'
import { Failure } from './errors.ts'

export type Reference =
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'digest'; readonly digest: Digest }

/** Most characters, and bytes, in a tag: the grammar below allows only ASCII. */
export const maxTagLength = 128

const tagGrammar = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

const algorithmComponent = '[a-z0-9]+'
const algorithmSeparator = '[+._-]'
const algorithm = `${algorithmComponent}(?:${algorithmSeparator}${algorithmComponent})*`
const digestGrammar = new RegExp(`^(${algorithm}):([a-zA-Z0-9=_-]+)$`)

/** Number of hex digits of each algorithm that the image spec registers. */
const registeredLengths: Record<string, number> = { sha256: 64, sha512: 128, blake3: 64 }

/** Full commit ids: 40 digits in a SHA-1 repository, 64 in a SHA-256 repository. */
const fullCommit = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i
/** With fewer than 7 digits the tag is more likely a number, a date or a word. */
const abbreviatedCommit = /^[0-9a-f]{7,63}$/i

/** Returns whether the tag has the form of a full commit id: 40 or 64 hex digits. */
export function isFullCommitId(tag: string): boolean {
  return fullCommit.test(tag)
}

/** Returns whether the tag has the form of an abbreviated commit id: 7 to 63 hex digits, but not 40. */
export function isAbbreviatedCommitId(tag: string): boolean {
  return abbreviatedCommit.test(tag) && !fullCommit.test(tag)
}

/** Returns whether the text is a valid tag. */
export function isTag(text: string): boolean {
  return tagGrammar.test(text)
}

/**
 * Parses a reference. A reference that contains a colon is a digest.
 * @throws Failure digest-invalid or tag-invalid
 */
export function parseReference(text: string): Reference {
  if (text.includes(':')) return { kind: 'digest', digest: parseDigest(text) }
  if (isTag(text)) return { kind: 'tag', tag: text }
  throw new Failure('tag-invalid', tagFailure(text), { detail: { reference: text } })
}

/**
 * Parses a digest of any algorithm that the spec registers. Blobs are stored under sha256 only, so a digest
 * of another algorithm is unknown, but not malformed.
 * @throws Failure digest-invalid
 */
export function parseDigest(text: string): Digest {
  const [, name = '', encoded = ''] = digestGrammar.exec(text) ?? []
  const length = registeredLengths[name]
  if (length !== undefined && encoded.length === length && /^[a-f0-9]+$/.test(encoded)) {
    return text as Digest
  }
  throw new Failure('digest-invalid', digestFailure(text, name, length), {
    detail: { digest: text },
  })
}

function tagFailure(text: string): string {
  const rule =
    'a tag holds letters, digits, "_", "." and "-", begins with a letter, a digit or "_", ' +
    `and has at most ${maxTagLength} characters`
  return text.length > maxTagLength
    ? `the tag "${truncate(text, 40)}" has ${text.length} characters: ${rule}`
    : `"${text}" is not a tag: ${rule}`
}

function digestFailure(text: string, name: string, length: number | undefined): string {
  if (length !== undefined) {
    return `"${text}" is not a digest: "${name}:" is followed by ${length} digits of 0-9 and a-f`
  }
  return name === ''
    ? `"${text}" is not a digest: it is written sha256:<64 digits of 0-9 and a-f>`
    : `"${text}" is a digest of the unknown algorithm "${name}": this registry stores under sha256`
}
