/**
 * Globs that match whole names. `*` matches any characters, also none and also `/`; `?` matches exactly one.
 * So `release-*` matches `release-v2`, and `*login` matches `feature/login`. No other character is special.
 *
 * Matching works for any kind of name: refs, packages, images. The syntax is checked for ref names: a character
 * that no ref name has, or that is special in other globs, is an error. Taken literally, such a glob would match
 * no ref, and the typo would show only when an image of a release is missing.
 */

/** Most characters in a glob. Ref names that people write are far shorter. */
export const maxGlobLength = 255

/** Value of a setting for an empty list of globs. A tag of this name is matched by `non?`. */
const emptyList = 'none'

/**
 * Control characters, space, `~`, `^` and `:`.
 * @see https://git-scm.com/docs/git-check-ref-format
 */
const neverInRef = /[\p{Cc} ~^:]/u
const specialElsewhere = /[[{\\]/

/** Returns a sentence that quotes the glob and says why it is not valid; undefined for a valid glob. */
export function globFailure(text: string): string | undefined {
  const failure = failureOf(text)
  return failure === undefined
    ? undefined
    : `${quoted(text)} is not a glob of ref names: ${failure}`
}

/** Returns whether the text is `none`, or valid globs separated by commas or white space. */
export function isGlobList(text: string): boolean {
  const globs = split(text)
  return globs.length > 0 && globs.every((glob) => globFailure(glob) === undefined)
}

/**
 * Parses the globs of a setting: `release-*, v?`, or `none` for an empty list.
 * @throws TypeError if the text is not a glob list
 */
export function parseGlobList(text: string): Globs {
  return new Globs(text.trim() === emptyList ? [] : split(text))
}

/** An immutable list of compiled globs. */
export class Globs {
  /** The globs as they were written. */
  readonly texts: readonly string[]
  /** The characters of each glob. */
  readonly #globs: readonly (readonly string[])[]

  /** @throws TypeError for the first glob that is not valid */
  constructor(texts: Iterable<string>) {
    this.texts = [...texts]
    for (const text of this.texts) {
      const failure = globFailure(text)
      if (failure !== undefined) throw new TypeError(failure)
    }
    this.#globs = this.texts.map((text) => [...text])
  }

  /** Returns whether any glob matches the whole name. An empty list matches nothing. */
  matches(name: string): boolean {
    if (this.#globs.length === 0) return false
    const characters = [...name]
    return this.#globs.some((glob) => globMatches(glob, characters))
  }
}

/**
 * Takes at most glob length × name length steps. On a mismatch, the last `*` matches one more character. No
 * earlier `*` needs to match more, because the last one can match the same characters.
 */
function globMatches(glob: readonly string[], name: readonly string[]): boolean {
  let inGlob = 0
  let inName = 0
  let lastStar = -1
  /** Place in the name up to which the last `*` matches. */
  let starEnd = 0
  while (inName < name.length) {
    const expected = glob[inGlob]
    if (expected === '*') {
      lastStar = inGlob++
      starEnd = inName
    } else if (expected === '?' || expected === name[inName]) {
      inGlob++
      inName++
    } else if (lastStar >= 0) {
      inGlob = lastStar + 1
      inName = ++starEnd
    } else {
      return false
    }
  }
  while (glob[inGlob] === '*') inGlob++
  return inGlob === glob.length
}

function failureOf(text: string): string | undefined {
  if (text === '') return 'it is empty; "*" matches every name'
  if (text.length > maxGlobLength) {
    return `it has ${text.length} characters, at most ${maxGlobLength} are allowed`
  }
  if (text.startsWith('!')) return 'names cannot be excluded; write the names that it should match'
  if (text.startsWith('refs/')) return 'it is written without "refs/tags/" or "refs/heads/"'
  const special = specialElsewhere.exec(text)?.[0]
  if (special !== undefined) {
    return `"${special}" has no meaning in it: "*" stands for any characters, "?" for one`
  }
  const never = neverInRef.exec(text)?.[0]
  if (never !== undefined) return `no ref name has the character ${JSON.stringify(never)}`
  return undefined
}

function split(text: string): string[] {
  return text.split(/[\s,]+/).filter((glob) => glob !== '')
}

function quoted(text: string): string {
  return JSON.stringify(text.length > maxGlobLength ? `${text.slice(0, 40)}…` : text)
}
