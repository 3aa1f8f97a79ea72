/** One spelling for all names of one image. */
import { type ImageName, shellPackages } from './image-name.ts'
import { arm64 } from './platform.ts'

const broughtByShell: ReadonlySet<string> = new Set(shellPackages)

/**
 * `htop/git/shell/git` → `shell/git/htop`: meta packages first, then the packages in byte order, each
 * once. It parses to an equal image name, and two names have the same one exactly if they have the
 * same packages, platform and shell, which is all of a name that an image key holds.
 */
export function canonicalName({ packages, platform, shell }: ImageName): string {
  const named = shell ? packages.filter((name) => !broughtByShell.has(name)) : packages
  const meta = [
    ...(platform.architecture === arm64.architecture ? ['arm64'] : []),
    ...(shell ? ['shell'] : []),
  ]
  return [...meta, ...named].join('/')
}
