/** What is built before anybody asks. */
import type { ImageName } from '../image/image-name.ts'
import type { Revision } from '../source/source.ts'

export interface Prebuild {
  readonly imageKey: string
  readonly name: ImageName
  readonly revision: Revision
}

/** A tag is released; a branch only moves on. */
export function isForTag({ revision }: Prebuild): boolean {
  return revision.ref?.startsWith('refs/tags/') ?? false
}
