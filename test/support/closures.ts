/** Closures for tests. */
import fc from 'fast-check'
import {
  type Closure,
  type Plan,
  type StorePath,
  storePathName,
} from '../../service/closure/closure.ts'

const MB = 1_000_000

/** Returns a store path that sorts like its name. */
export function storePath(name: string): StorePath {
  return `/nix/store/${name.replace(/[^a-z0-9]/g, '').padEnd(32, '0')}-${name}`
}

/** @param entries name → [size in MB, names of its references] */
export function closureOf(
  entries: Record<string, [size: number, ...references: string[]]>,
): Closure {
  return Object.entries(entries).map(([name, [size, ...references]]) => ({
    path: storePath(name),
    narSize: size * MB,
    references: references.map(storePath),
  }))
}

/** Returns a plan with names instead of paths: `['glibc', 'bash readline']`. */
export function named(plan: Plan): string[] {
  return plan.map((layer) => layer.map(storePathName).join(' '))
}

/** Up to 40 paths with any references: among them, to themselves, and to a path outside the closure. */
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

/** Up to 30 paths without a cycle: each refers only to paths before it. */
export const anyAcyclicClosure: fc.Arbitrary<Closure> = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 30 })
  .map((references) =>
    references.map((numbers, place) => ({
      path: storePath(`p${place}`),
      narSize: 1,
      references: place === 0 ? [] : numbers.map((number) => storePath(`p${number % place}`)),
    })),
  )
