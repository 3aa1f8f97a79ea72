/**
 * Repository names, read as lists of packages: `shell/git/htop`.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
import { compareCodeUnits } from '../text/order.ts'
import { Failure } from './errors.ts'
import { amd64, arm64, type Platform } from './platform.ts'

/** What an image is made of. Two names that differ in order or repetition alone are equal here. */
export interface ImageName {
  /** As the client wrote it, for messages and listings. */
  readonly text: string
  /** Package attributes, meta packages expanded, in byte order, each once. */
  readonly packages: readonly string[]
  readonly platform: Platform
  /** Whether `shell` stands in the name: the image then starts bash. */
  readonly shell: boolean
}

/** The packages that `shell` stands for. */
export const shellPackages = ['bashInteractive', 'coreutils', 'moreutils', 'nano'] as const

/** Added to every image whose package set has them: HTTPS and name look-ups expect their files. */
export const addedPackages = ['cacert', 'iana-etc'] as const

/** Characters in a name, at most: what clients and registries agree on in practice. */
export const maxNameLength = 255

const alphanumeric = '[a-z0-9]+'
const separator = '(?:\\.|_|__|-+)'
const pathComponent = `${alphanumeric}(?:${separator}${alphanumeric})*`
const nameGrammar = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`)

/** @throws Failure name-invalid */
export function parseImageName(text: string): ImageName {
  if (text.length > maxNameLength) {
    throw invalid(text, `it has ${text.length} characters, ${maxNameLength} are allowed`)
  }
  if (!nameGrammar.test(text)) throw invalid(text, grammarFault(text))
  const components = text.split('/')
  const shell = components.includes('shell')
  const platform = components.includes('arm64') ? arm64 : amd64
  const named = components.filter((component) => component !== 'shell' && component !== 'arm64')
  if (named.length === 0 && !shell) {
    throw invalid(text, '"arm64" only chooses the platform: add a package, as in "arm64/hello"')
  }
  const packages = [...new Set([...(shell ? shellPackages : []), ...named])].sort(compareCodeUnits)
  return { text, packages, platform, shell }
}

function invalid(text: string, reason: string): Failure {
  return new Failure('name-invalid', `"${text}" is not an image name: ${reason}`, {
    detail: { name: text },
  })
}

function grammarFault(text: string): string {
  const rule =
    'packages are separated by "/", each in lower-case letters and digits, ' +
    'with ".", "_", "__" or dashes only between them'
  return /[A-Z]/.test(text) ? `registry names are lower-case; ${rule}` : rule
}
