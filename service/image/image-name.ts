/**
 * Repository names, read as lists of packages: `shell/git/htop`.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
import { compareCodeUnits } from '../text/order.ts'
import { Failure } from './errors.ts'
import { amd64, arm64, type Platform } from './platform.ts'

/** Content of an image, as its name requests it. Order and repetition in the name make no difference. */
export interface ImageName {
  /** The name as the client wrote it, for messages and listings. */
  readonly text: string
  /** Package attributes with meta packages expanded, in byte order, each once. */
  readonly packages: readonly string[]
  readonly platform: Platform
  /** `shell` is in the name, so the image starts bash. */
  readonly hasShell: boolean
}

/** The packages that `shell` stands for. */
export const shellPackages = ['bashInteractive', 'coreutils', 'moreutils', 'nano'] as const
const broughtByShell: ReadonlySet<string> = new Set(shellPackages)

/** Packages added to every image if the package set has them: HTTPS and name look-ups read their files. */
export const addedPackages = ['cacert', 'iana-etc'] as const

/** Most characters in a name: the limit that clients and registries agree on in practice. */
export const maxNameLength = 255

const alphanumeric = '[a-z0-9]+'
const separator = '(?:\\.|_|__|-+)'
const pathComponent = `${alphanumeric}(?:${separator}${alphanumeric})*`
const nameGrammar = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`)

/** @throws Failure name-invalid */
export function parseImageName(text: string): ImageName {
  if (text.length > maxNameLength) {
    throw invalidName(
      text,
      `it has ${text.length} characters, at most ${maxNameLength} are allowed`,
    )
  }
  if (!nameGrammar.test(text)) throw invalidName(text, grammarRule(text))
  const components = text.split('/')
  const hasShell = components.includes('shell')
  const platform = components.includes('arm64') ? arm64 : amd64
  const named = components.filter((component) => component !== 'shell' && component !== 'arm64')
  if (named.length === 0 && !hasShell) {
    throw invalidName(text, '"arm64" only chooses the platform: add a package, as in "arm64/hello"')
  }
  const brought = hasShell ? shellPackages : []
  const packages = [...new Set([...brought, ...named])].sort(compareCodeUnits)
  return { text, packages, platform, hasShell }
}

/**
 * Returns the one spelling of all names of an image: `htop/git/shell/git` → `shell/git/htop`, meta packages
 * first, then the packages in byte order, each once. The spelling parses to an equal image name. Two names
 * have the same spelling exactly if they have the same packages, platform and `hasShell`: all that an
 * image key takes from a name.
 */
export function canonicalName({ packages, platform, hasShell }: ImageName): string {
  const named = hasShell ? packages.filter((name) => !broughtByShell.has(name)) : packages
  const meta = [
    ...(platform.architecture === arm64.architecture ? ['arm64'] : []),
    ...(hasShell ? ['shell'] : []),
  ]
  return [...meta, ...named].join('/')
}

function invalidName(text: string, failure: string): Failure {
  return new Failure('name-invalid', `"${text}" is not an image name: ${failure}`, {
    detail: { name: text },
  })
}

function grammarRule(text: string): string {
  const rule =
    'packages are separated by "/", each in lower-case letters and digits, ' +
    'with ".", "_", "__" or dashes only between them'
  return /[A-Z]/.test(text) ? `registry names are lower-case; ${rule}` : rule
}
