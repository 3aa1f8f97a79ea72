/** Temporary space of tests that are not about it. */
import { StagingSpace } from '../../service/storage/staging-space.ts'

export const endlessSpace = new StagingSpace({
  folder: '/dev/null',
  free: async () => Number.POSITIVE_INFINITY,
})
