/**
 * Globs over short ref names: `release-*` matches `release-v2`, `*login` matches `feature/login`.
 *
 * `*` stands for any characters, also none and also `/`; `?` for exactly one. Nothing else is special,
 * and what other globs give a meaning to is refused rather than taken literally: a ref that silently
 * never matches is found when the release is missing.
 */

/** Characters in a glob, at most: no ref name that people write is near it. */
export const maxGlobLength = 255

/** Turns a list of globs in a setting off. A tag of that name is matched by `non?`. */
const noGlobs = 'none'

/** Control characters, space, `~`, `^`, `:` cannot stand in a ref name (git-check-ref-format). */
const neverInRef = /[\p{Cc} ~^:]/u
const specialElsewhere = /[[{\\]/

/**
 * What is wrong with a glob, as a sentence that quotes it; undefined for a good one.
 */
export function globFault(text: string): string | undefined {
  const reason = faultOf(text)
  return reason === undefined ? undefined : `${quoted(text)} is not a glob of ref names: ${reason}`
}

/** Whether the text is `none`, or good globs with commas or white space between them. */
export function isGlobList(text: string): boolean {
  const globs = split(text)
  return globs.length > 0 && globs.every((glob) => globFault(glob) === undefined)
}

/**
 * The globs of a setting: `release-*, v?`; `none` for globs that match nothing.
 * @throws TypeError if it is no glob list
 */
export function parseGlobList(text: string): Globs {
  return new Globs(text.trim() === noGlobs ? [] : split(text))
}

/** Some globs, compiled. Immutable. */
export class Globs {
  /** As they were written. */
  readonly texts: readonly string[]
  readonly #compiled: readonly (readonly string[])[]

  /** @throws TypeError with the fault of the first bad glob */
  constructor(texts: Iterable<string>) {
    this.texts = [...texts]
    for (const text of this.texts) {
      const fault = globFault(text)
      if (fault !== undefined) throw new TypeError(fault)
    }
    this.#compiled = this.texts.map((text) => [...text])
  }

  /** Whether any glob matches the whole name; no globs match nothing. */
  matches(shortName: string): boolean {
    if (this.#compiled.length === 0) return false
    const name = [...shortName]
    return this.#compiled.some((glob) => globMatches(glob, name))
  }
}

/**
 * At most glob × name steps, whatever both are: when a character does not fit, only the last `*` takes
 * one more. What an earlier `*` could take instead, the last one can too.
 */
function globMatches(glob: readonly string[], name: readonly string[]): boolean {
  let inGlob = 0
  let inName = 0
  let star = -1
  let taken = 0
  while (inName < name.length) {
    const expected = glob[inGlob]
    if (expected === '*') {
      star = inGlob++
      taken = inName
    } else if (expected === '?' || expected === name[inName]) {
      inGlob++
      inName++
    } else if (star >= 0) {
      inGlob = star + 1
      inName = ++taken
    } else {
      return false
    }
  }
  while (glob[inGlob] === '*') inGlob++
  return inGlob === glob.length
}

function faultOf(text: string): string | undefined {
  if (text === '') return 'it is empty; "*" matches every name'
  if (text.length > maxGlobLength) {
    return `it has ${text.length} characters, ${maxGlobLength} are allowed`
  }
  if (text.startsWith('!')) return 'names cannot be excluded; write what should be matched'
  if (text.startsWith('refs/')) return 'it is written without "refs/tags/" or "refs/heads/"'
  const special = specialElsewhere.exec(text)?.[0]
  if (special !== undefined) {
    return `"${special}" has no meaning in it: "*" stands for any characters, "?" for one`
  }
  const never = neverInRef.exec(text)?.[0]
  if (never !== undefined) return `no ref name holds ${JSON.stringify(never)}`
  return undefined
}

function split(text: string): string[] {
  return text.split(/[\s,]+/).filter((glob) => glob !== '')
}

function quoted(text: string): string {
  return JSON.stringify(text.length > maxGlobLength ? `${text.slice(0, 40)}…` : text)
}
