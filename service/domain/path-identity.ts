/** What makes store paths of different releases the same thing: its path changes, its name stays. */
import { type StorePath, storePathName } from './closure.ts'

/**
 * For each of a closure's paths what it is called in every release: `glibc-2.39-52-bin` and `glibc-2.40-66-bin`
 * are both `glibc-bin`. Paths of one closure that would be called the same are numbered in the order of
 * their full names: `python3`, `python3#1`.
 */
export function identitiesOf(paths: readonly StorePath[]): string[] {
  const names = paths.map(storePathName)
  const identities = names.map(withoutVersion)
  const places = new Map<string, number[]>()
  for (const [place, identity] of identities.entries()) {
    const same = places.get(identity)
    if (same) same.push(place)
    else places.set(identity, [place])
  }
  for (const [identity, same] of places) {
    if (same.length === 1) continue
    const sortKey = (place: number) => `${names[place]} ${paths[place]}`
    same.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
    for (const [number, place] of same.entries()) {
      if (number > 0) identities[place] = `${identity}#${number}`
    }
  }
  return identities
}

/**
 * A version begins at the first dash before a digit; after it, the parts without any digit are no version
 * but an output or a variant (`-bin`, `-headless`).
 */
function withoutVersion(name: string): string {
  const start = name.search(/-\d/)
  if (start === -1) return name
  const rest = name.slice(start + 1).split('-')
  return [name.slice(0, start), ...rest.filter((part) => !/\d/.test(part))].join('-')
}
