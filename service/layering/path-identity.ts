/** Identities of store paths: names that stay the same from release to release, while hash and version change. */
import { type StorePath, storePathName } from '../closure/closure.ts'
import { compareCodeUnits } from '../text/order.ts'

/**
 * Returns the name without its version: `glibc-2.39-52-bin` and `glibc-2.40-66-bin` are both `glibc-bin`. The
 * version begins at the first dash before a digit. Later parts without a digit name an output or a variant
 * (`-bin`, `-headless`), so they are kept.
 */
export function identityOf(path: StorePath): string {
  const name = storePathName(path)
  const start = name.search(/-\d/)
  if (start === -1) return name
  const rest = name.slice(start + 1).split('-')
  return [name.slice(0, start), ...rest.filter((part) => !/\d/.test(part))].join('-')
}

/**
 * Returns a distinct identity for each path of one closure. Paths with the same name without version are
 * numbered in the order of their full names: `python3`, `python3#1`.
 */
export function identitiesOf(
  paths: readonly StorePath[],
  unnumbered: readonly string[] = paths.map(identityOf),
): string[] {
  const identities = [...unnumbered]
  const places = new Map<string, number[]>()
  for (const [place, identity] of identities.entries()) {
    const same = places.get(identity)
    if (same) same.push(place)
    else places.set(identity, [place])
  }
  for (const [identity, same] of places) {
    if (same.length === 1) continue
    const fullName = (place: number) => `${storePathName(paths[place] ?? '')} ${paths[place]}`
    same.sort((a, b) => compareCodeUnits(fullName(a), fullName(b)))
    for (const [number, place] of same.entries()) {
      if (number > 0) identities[place] = `${identity}#${number}`
    }
  }
  return identities
}

/** Removes the number: `python3#1` → `python3`. */
export function withoutNumber(identity: string): string {
  return identity.replace(/#\d+$/, '')
}
