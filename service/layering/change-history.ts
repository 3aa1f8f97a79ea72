/** Counts how often each path itself has changed from release to release. */
import { type Closure, type StorePath, storePathName } from '../closure/closure.ts'
import { compareCodeUnits } from '../text/order.ts'
import type { History } from './knowledge-document.ts'
import { identitiesOf } from './path-identity.ts'

/** The change of one image from one release to the next. */
export interface ImageUpdate {
  readonly previousPaths: readonly StorePath[]
  readonly closure: Closure
}

/** Number of observed releases at which both counts of a path are halved, so that old releases lose weight. */
const maxReleases = 32

/** Returns the history after one more release, sorted by path identity. */
export function extendHistory(history: History, updates: readonly ImageUpdate[]): History {
  const observed = new Map<string, boolean>()
  for (const update of updates) {
    for (const [identity, isChanged] of observe(update)) {
      observed.set(identity, isChanged || (observed.get(identity) ?? false))
    }
  }
  if (observed.size === 0) return history
  const counts = new Map(history.map(([identity, ...count]) => [identity, count]))
  for (const [identity, isChanged] of observed) {
    const [releases, changes] = counts.get(identity) ?? [0, 0]
    const share = releases + 1 < maxReleases ? 1 : 0.5
    counts.set(identity, [
      Math.round((releases + 1) * share),
      Math.round((changes + (isChanged ? 1 : 0)) * share),
    ])
  }
  return [...counts]
    .map(([identity, [releases, changes]]) => [identity, releases, changes] as const)
    .sort(([a], [b]) => compareCodeUnits(a, b))
}

/**
 * Yields for each path that the image had before whether the path itself changed: its name with version is
 * new, or its store path is new although all its references are old. An image without any change yields
 * nothing, because it may be learned twice for one release.
 */
function* observe({
  previousPaths,
  closure,
}: ImageUpdate): Iterable<[identity: string, isChanged: boolean]> {
  const oldPaths = new Set(previousPaths)
  if (closure.every(({ path }) => oldPaths.has(path))) return
  const oldNames = new Set(previousPaths.map(storePathName))
  const oldIdentities = new Set(identitiesOf(previousPaths))
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
