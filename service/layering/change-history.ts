/** How often each path has changed by itself, from release to release. */
import { type Closure, type StorePath, storePathName } from '../closure/closure.ts'
import type { History } from './knowledge-document.ts'
import { identitiesOf } from './path-identity.ts'

/** A closure, and the paths of the same image in the release before. */
export interface Step {
  readonly before: readonly StorePath[]
  readonly closure: Closure
}

/** Releases from which on the counts are halved: what happened long ago says little. */
const longHistory = 32

/** The history after one more release, in the order of identities. */
export function extend(history: History, steps: readonly Step[]): History {
  const found = new Map<string, boolean>()
  for (const step of steps) {
    for (const [identity, isChanged] of observe(step)) {
      found.set(identity, isChanged || (found.get(identity) ?? false))
    }
  }
  if (found.size === 0) return history
  const counts = new Map(history.map(([identity, ...count]) => [identity, count]))
  for (const [identity, isChanged] of found) {
    const [releases, changes] = counts.get(identity) ?? [0, 0]
    const share = releases + 1 < longHistory ? 1 : 0.5
    counts.set(identity, [
      Math.round((releases + 1) * share),
      Math.round((changes + (isChanged ? 1 : 0)) * share),
    ])
  }
  return [...counts]
    .map(([identity, [releases, changes]]) => [identity, releases, changes] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

/**
 * For what was in the image before, whether it changed by itself: its name with the version did, or nothing
 * that it refers to is new. An image that is as it was says nothing: it may be looked at twice.
 */
function* observe({ before, closure }: Step): Iterable<[identity: string, isChanged: boolean]> {
  const oldPaths = new Set(before)
  if (closure.every(({ path }) => oldPaths.has(path))) return
  const oldNames = new Set(before.map(storePathName))
  const oldIdentities = new Set(identitiesOf(before))
  const identities = identitiesOf(closure.map(({ path }) => path))
  for (const [place, { path, references }] of closure.entries()) {
    const identity = identities[place] as string
    if (!oldIdentities.has(identity)) continue
    const isChanged =
      !oldPaths.has(path) &&
      (!oldNames.has(storePathName(path)) ||
        references.every((other) => other === path || oldPaths.has(other)))
    yield [identity, isChanged]
  }
}
