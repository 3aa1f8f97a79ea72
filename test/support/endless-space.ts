/** Staging space without a limit, for tests of other things. */
import { StagingSpace } from '../../service/storage/staging-space.ts'

export const endlessSpace = new StagingSpace({
  folder: '/dev/null',
  free: async () => Number.POSITIVE_INFINITY,
})
