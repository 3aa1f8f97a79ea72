/**
 * The order of whole paths, a folder at a time. What is in `lib` does not follow `lib` at once: `.` sorts before
 * `/`, so it is
 *
 *     lib    lib.so    lib/a    lib/b    libexec
 *
 * and a directory is two steps in the order of its siblings: itself under `lib`, its content under `lib/`.
 */
import { compareCodeUnits } from '../../text/order.ts'
import type { ByteString } from './entry.ts'

interface Named {
  readonly name: ByteString
}

/** An item, or with `content` all that is in it. */
export interface Step<Item extends Named> {
  /** What it is sorted by. */
  readonly key: ByteString
  readonly item: Item
  readonly content: boolean
}

/** @param items what a folder holds, in any order */
export function inPathOrder<Item extends Named>(
  items: readonly Item[],
  isDirectory: (item: Item) => boolean,
): Step<Item>[] {
  const steps: Step<Item>[] = []
  for (const item of items) {
    steps.push({ key: item.name, item, content: false })
    if (isDirectory(item)) steps.push({ key: `${item.name}/`, item, content: true })
  }
  return steps.sort((a, b) => compareCodeUnits(a.key, b.key))
}
