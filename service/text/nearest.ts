/** Suggestions for a name that does not exist. */
import leven from 'leven'
import { compareCodeUnits } from './order.ts'

/** Most edits between a name and a suggestion, however long the name is. */
const maxEdits = 8

interface Match {
  readonly name: string
  readonly edits: number
}

/**
 * Returns the known names that are most like a wrong name, the most similar first; case is ignored. First come
 * names within a few edits: one edit for each three characters, rounded up. Then come longer names that begin
 * with the wrong name (`release-v2` → `release-v2.0.1`).
 * @param limit most names in the result
 */
export function nearest(wrong: string, known: Iterable<string>, limit: number): string[] {
  const wanted = wrong.toLowerCase()
  const allowed = Math.min(Math.ceil(wanted.length / 3), maxEdits)
  const similar: Match[] = []
  const longer: Match[] = []
  for (const name of known) {
    const lower = name.toLowerCase()
    const difference = lower.length - wanted.length
    if (wanted.length > 1 && difference > allowed && lower.startsWith(wanted)) {
      longer.push({ name, edits: difference })
    } else if (Math.abs(difference) <= allowed) {
      const edits = editsBetween(wanted, lower, allowed)
      // If every character is edited, nothing of the name is left.
      if (edits <= allowed && edits < Math.max(wanted.length, lower.length)) {
        similar.push({ name, edits })
      }
    }
  }
  return [...similar.sort(byEdits), ...longer.sort(byEdits)].slice(0, limit).map(({ name }) => name)
}

/** Counts edits, at most `allowed` + 1. The same letters in another order (`gti`) count as one edit. */
function editsBetween(one: string, other: string, allowed: number): number {
  return haveSameLetters(one, other) ? 1 : leven(one, other, { maxDistance: allowed + 1 })
}

function haveSameLetters(one: string, other: string): boolean {
  return one.length === other.length && [...one].sort().join() === [...other].sort().join()
}

function byEdits(a: Match, b: Match): number {
  return a.edits - b.edits || compareCodeUnits(a.name, b.name)
}
