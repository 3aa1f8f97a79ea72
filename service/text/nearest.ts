/** The names that somebody may have meant. */
import leven from 'leven'

/** Names further away than this many edits are no help, however long the name is. */
const maxEdits = 8

interface Match {
  readonly candidate: string
  readonly edits: number
}

/**
 * The candidates that are most like a name, the likest first, without regard to case. Near is what
 * takes few edits for the name's length (one for each three characters begun), or what goes on
 * where the name ends (`release-v2` → `release-v2.0.1`); of these, what takes the fewest edits.
 * @param limit how many at most
 */
export function nearest(name: string, candidates: Iterable<string>, limit: number): string[] {
  const wanted = name.toLowerCase()
  const allowed = Math.min(Math.ceil(wanted.length / 3), maxEdits)
  const typos: Match[] = []
  const longer: Match[] = []
  for (const candidate of candidates) {
    const own = candidate.toLowerCase()
    const difference = own.length - wanted.length
    if (wanted.length > 1 && difference > allowed && own.startsWith(wanted)) {
      longer.push({ candidate, edits: difference })
    } else if (Math.abs(difference) <= allowed) {
      const edits = sameLetters(wanted, own) ? 1 : leven(wanted, own, { maxDistance: allowed + 1 })
      // With as many edits as characters nothing of the name is left.
      if (edits <= allowed && edits < Math.max(wanted.length, own.length)) {
        typos.push({ candidate, edits })
      }
    }
  }
  return [...typos.sort(byEdits), ...longer.sort(byEdits)].slice(0, limit).map((m) => m.candidate)
}

/** Letters in another order (`gti`) are one slip of the fingers, though two edits. */
function sameLetters(one: string, other: string): boolean {
  return one.length === other.length && [...one].sort().join() === [...other].sort().join()
}

function byEdits(a: Match, b: Match): number {
  return a.edits - b.edits || (a.candidate < b.candidate ? -1 : 1)
}
