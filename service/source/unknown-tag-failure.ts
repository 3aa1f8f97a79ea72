/** The failure of a tag that does not exist. */

import { Failure } from '../image/errors.ts'
import { nearest } from '../text/nearest.ts'

const namesSuggested = 3

/**
 * Returns a failure that names the nearest of all tags.
 * @param message why the tag does not exist
 * @param detail further facts for the `detail` of a registry error
 */
export function unknownTagFailure(
  tag: string,
  tags: readonly string[],
  message: string,
  detail: object = {},
): Failure {
  const near = nearest(tag, tags, namesSuggested).filter((name) => name !== tag)
  const hint = near.length > 0 ? `; the nearest: ${near.join(', ')}` : ''
  return new Failure('manifest-unknown', message + hint, {
    detail: { tag, ...detail, nearest: near },
  })
}
