/** Closures for tests. */
import fc from 'fast-check'
import {
  type Closure,
  type Plan,
  type StorePath,
  storePathName,
} from '../../service/closure/closure.ts'

const MB = 1_000_000

/** A store path that sorts like its name. */
export function storePath(name: string): StorePath {
  return `/nix/store/${name.replace(/[^a-z0-9]/g, '').padEnd(32, '0')}-${name}`
}

/** name → [size in MB, names of what it refers to] */
export function closureOf(
  entries: Record<string, [size: number, ...references: string[]]>,
): Closure {
  return Object.entries(entries).map(([name, [size, ...references]]) => ({
    path: storePath(name),
    narSize: size * MB,
    references: references.map(storePath),
  }))
}

/** A plan with names for paths: `['glibc', 'bash readline']`. */
export function named(plan: Plan): string[] {
  return plan.map((layer) => layer.map(storePathName).join(' '))
}

/** Closures of up to 40 paths with any references among them, to themselves and to paths that are not there. */
export const anyClosure: fc.Arbitrary<Closure> = fc
  .uniqueArray(fc.stringMatching(/^[a-z]{1,2}$/), { maxLength: 40 })
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc.record({
          path: fc.constant(storePath(name)),
          narSize: fc.oneof(fc.nat(20_000), fc.nat(2 * MB), fc.nat(200 * MB)),
          references: fc.array(fc.constantFrom(...names, 'gone').map(storePath), { maxLength: 5 }),
        }),
      ),
    ),
  )
