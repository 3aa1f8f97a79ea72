/** The root of an image: links to the files of its packages. */
import type { StorePath } from '../closure/closure.ts'

/** A package as the link farm sees it. */
export interface LinkFarmPackage {
  readonly name: string
  readonly storePath: StorePath
  /** The lower wins. */
  readonly priority: number
  /** Whether the image's name has it; added packages (cacert, iana-etc) give way. */
  readonly requested: boolean
}

export interface LinkFarm {
  readonly packages: readonly LinkFarmPackage[]
  /** The store path whose `bin/env` becomes `/usr/bin/env`. */
  readonly env?: StorePath
}
