/** Temporary space of tests that are not about it. */
import { TemporarySpace } from '../../service/storage/staging-space.ts'

export const endlessSpace = new TemporarySpace({
  folder: '/dev/null',
  free: async () => Number.POSITIVE_INFINITY,
})
