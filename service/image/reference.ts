/**
 * References: what stands after the repository name, a tag or a digest.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
 */
import type { Digest } from './descriptor.ts'
import { Failure } from './errors.ts'

export type Reference =
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'digest'; readonly digest: Digest }

/** Bytes in a tag, at most: the grammar below allows no others than ASCII. */
export const maxTagLength = 128

const tagGrammar = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

const algorithmComponent = '[a-z0-9]+'
const algorithmSeparator = '[+._-]'
const algorithm = `${algorithmComponent}(?:${algorithmSeparator}${algorithmComponent})*`
const digestGrammar = new RegExp(`^(${algorithm}):([a-zA-Z0-9=_-]+)$`)

/** Hex digits of the algorithms that the image spec registers. */
const registeredLengths: Record<string, number> = { sha256: 64, sha512: 128, blake3: 64 }

/** Ids of SHA-1 and of SHA-256 repositories. */
const fullCommit = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i
/** Below 7 digits an abbreviation is more likely a number, a date or a word. */
const abbreviatedCommit = /^[0-9a-f]{7,63}$/i

/** Whether the tag has the form of a full commit id: 40 or 64 hex digits. */
export function isFullCommitId(tag: string): boolean {
  return fullCommit.test(tag)
}

/** Whether the tag has the form of an abbreviated commit id: from 7 hex digits on, but not a full one. */
export function isAbbreviatedCommitId(tag: string): boolean {
  return abbreviatedCommit.test(tag) && !fullCommit.test(tag)
}

/** Whether a text may stand behind the colon of an image name. */
export function isTag(text: string): boolean {
  return tagGrammar.test(text)
}

/**
 * @throws Failure digest-invalid for what looks like a digest (it holds a colon) and is none,
 *   tag-invalid for everything else that is no tag
 */
export function parseReference(text: string): Reference {
  if (text.includes(':')) return { kind: 'digest', digest: parseDigest(text) }
  if (isTag(text)) return { kind: 'tag', tag: text }
  throw new Failure('tag-invalid', tagFault(text), { detail: { reference: text } })
}

/**
 * Whatever the spec allows parses, also with an algorithm that nothing here is stored under: it is
 * then an unknown digest, not a malformed one.
 * @throws Failure digest-invalid
 */
export function parseDigest(text: string): Digest {
  const [, name = '', encoded = ''] = digestGrammar.exec(text) ?? []
  const length = registeredLengths[name]
  if (length !== undefined && encoded.length === length && /^[a-f0-9]+$/.test(encoded)) {
    return text as Digest
  }
  throw new Failure('digest-invalid', digestFault(text, name, length), { detail: { digest: text } })
}

function tagFault(text: string): string {
  const rule =
    'a tag holds letters, digits, "_", "." and "-", begins with a letter, a digit or "_", ' +
    `and has at most ${maxTagLength} characters`
  return text.length > maxTagLength
    ? `the tag "${text.slice(0, 40)}…" has ${text.length} characters: ${rule}`
    : `"${text}" is not a tag: ${rule}`
}

function digestFault(text: string, name: string, length: number | undefined): string {
  if (length !== undefined) {
    return `"${text}" is not a digest: after "${name}:" stand ${length} digits of 0-9 and a-f`
  }
  return name === ''
    ? `"${text}" is not a digest: it is written sha256:<64 digits of 0-9 and a-f>`
    : `"${text}" is a digest of the unknown algorithm "${name}": this registry stores under sha256`
}
