/** What is expected of the paths of a closure: that they change, and that other images have them too. */
import { storePathName } from '../closure/closure.ts'
import type { ClosureGraph } from '../closure/closure-graph.ts'
import type { Acquaintance, Company, Fleet } from './image-sets.ts'

export interface Prospect {
  /** The chance that a release changes the path itself. */
  readonly chance: number
  /** How many images have it. */
  readonly images: number
  /** Absent for a path that no known image has. */
  readonly company?: Company
}

/** What was asked for by name is a house's own software, or made with it: most releases change it. */
const applicationChance = 0.8

/** An estimate: about a tenth of Debian 12's packages have had a security update, over some ten months. */
const libraryChance = 0.01

/** Releases after which what was seen weighs as much as the two figures above. */
const patience = 10

/** By node. */
export function prospectsOf(
  graph: ClosureGraph,
  fleet: Fleet,
  popularity: ReadonlyMap<string, number> = new Map(),
): Prospect[] {
  const known = fleet.acquaintances(graph.paths.map(({ path }) => path))
  return graph.paths.map(({ path }, node): Prospect => {
    const acquaintance = known[node]
    if (acquaintance !== undefined) {
      const { company } = acquaintance
      return { chance: chanceOf(acquaintance), images: company.images, company }
    }
    const referrers = graph.referrers[node] as number
    return {
      chance: referrers === 0 ? applicationChance : libraryChance,
      // A guess: each that refers to it may be in an image without the others.
      images: 1 + Math.max(referrers, lookUp(popularity, storePathName(path))),
    }
  })
}

function chanceOf({ company, isAsked, releases, changes }: Acquaintance): number {
  // The more images have it, the more it is like bash or git: asked for, but not the house's own.
  const own = isAsked ? (applicationChance - libraryChance) / company.images : 0
  return (changes + patience * (libraryChance + own)) / (releases + patience)
}

/**
 * By the name with its version, else without: as Nix parts them, at the first dash before anything
 * but a letter.
 * @see https://nix.dev/manual/nix/stable/language/builtins.html#builtins-parseDrvName
 */
function lookUp(popularity: ReadonlyMap<string, number>, name: string): number {
  if (popularity.size === 0) return 0
  return popularity.get(name) ?? popularity.get(name.replace(/-[^A-Za-z].*$/s, '')) ?? 0
}
