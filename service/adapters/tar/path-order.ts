/**
 * Sorts the items of directories so that whole paths are in byte order. The content of `lib` does not follow `lib`
 * at once, because `.` sorts before `/`:
 *
 *     lib    lib.so    lib/a    lib/b    libexec
 *
 * So a directory is visited twice: itself, sorted as `lib`, and its content, sorted as `lib/`.
 */
import { compareCodeUnits } from '../../text/order.ts'
import type { ByteString } from './byte-string.ts'

interface Named {
  readonly name: ByteString
}

/** One item of a directory, or the content of that item. */
export interface Visit<Item extends Named> {
  readonly sortKey: ByteString
  readonly item: Item
  readonly isContent: boolean
}

/** @param items of a directory, in any order */
export function visitsInPathOrder<Item extends Named>(
  items: readonly Item[],
  isDirectory: (item: Item) => boolean,
): Visit<Item>[] {
  const visits: Visit<Item>[] = []
  for (const item of items) {
    visits.push({ sortKey: item.name, item, isContent: false })
    if (isDirectory(item)) visits.push({ sortKey: `${item.name}/`, item, isContent: true })
  }
  return visits.sort((a, b) => compareCodeUnits(a.sortKey, b.sortKey))
}
