/** The link farm: the root of an image, with symlinks to the files of its packages. */
import type { StorePath } from '../closure/closure.ts'

export interface LinkFarmPackage {
  readonly name: string
  readonly storePath: StorePath
  /** If two packages have the same file, the lower priority wins. */
  readonly priority: number
  /** The image name requests the package. It wins over an added package (cacert, iana-etc). */
  readonly isRequested: boolean
}

export interface LinkFarm {
  readonly packages: readonly LinkFarmPackage[]
  /** Store path whose `bin/env` becomes `/usr/bin/env`. */
  readonly env?: StorePath
}
