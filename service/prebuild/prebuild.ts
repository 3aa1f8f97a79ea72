/** What is built before anybody asks. */

import type { ImageName } from '../image/image-name.ts'
import { isTagRef } from '../image/ref-name.ts'
import type { Revision } from '../source/ports.ts'

export interface Prebuild {
  readonly imageKey: string
  readonly name: ImageName
  readonly revision: Revision
}

/** A tag is released; a branch only moves on. */
export function isForTag({ revision }: Prebuild): boolean {
  return revision.ref !== undefined && isTagRef(revision.ref)
}
