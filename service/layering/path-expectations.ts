/** Expectations about the paths of a closure: that a release changes them, and that other images have them. */
import { storePathName } from '../closure/closure.ts'
import type { ClosureGraph } from '../closure/closure-graph.ts'
import type { KnownImages } from './known-images.ts'
import type { ImageSet, PathStatistics } from './path-statistics.ts'

export interface PathExpectation {
  /** The probability that a release changes the path itself, and not only a dependency of it. */
  readonly changeChance: number
  /** Number of images that have the path. */
  readonly imageCount: number
  /** Absent for a path that no known image has. */
  readonly imageSet?: ImageSet
}

/**
 * Change chance of a requested package. An estimate: most requested packages are the organisation's own
 * software, or made with it, and most releases change them.
 */
const requestedChance = 0.8

/**
 * Change chance of other paths. An estimate: about a tenth of Debian 12's packages had a security update within
 * some ten months.
 */
const libraryChance = 0.01

/** Number of observed releases that weigh as much as the two estimates. */
const estimateWeight = 10

/** Returns the expectation for each node of the graph. */
export function expectationsOf(
  graph: ClosureGraph,
  knownImages: KnownImages,
  popularity: ReadonlyMap<string, number> = new Map(),
): PathExpectation[] {
  const known = knownImages.statisticsOf(graph.paths.map(({ path }) => path))
  return graph.paths.map(({ path }, node): PathExpectation => {
    const statistics = known[node]
    if (statistics !== undefined) {
      const { imageSet } = statistics
      return { changeChance: changeChanceOf(statistics), imageCount: imageSet.imageCount, imageSet }
    }
    const referrers = graph.referrers[node] as number
    return {
      changeChance: referrers === 0 ? requestedChance : libraryChance,
      // An estimate: each referrer may be in an image without the others.
      imageCount: 1 + Math.max(referrers, popularityOf(popularity, storePathName(path))),
    }
  })
}

function changeChanceOf({ imageSet, isRequested, releases, changes }: PathStatistics): number {
  // A package that many images request is a general one, such as bash or git: it changes like a library.
  const own = isRequested ? (requestedChance - libraryChance) / imageSet.imageCount : 0
  return (changes + estimateWeight * (libraryChance + own)) / (releases + estimateWeight)
}

/**
 * Looks a package up by its name with the version, then without. As in Nix, the version begins at the first
 * dash before a character that is not a letter.
 * @see https://nix.dev/manual/nix/stable/language/builtins.html#builtins-parseDrvName
 */
function popularityOf(popularity: ReadonlyMap<string, number>, name: string): number {
  if (popularity.size === 0) return 0
  return popularity.get(name) ?? popularity.get(name.replace(/-[^A-Za-z].*$/s, '')) ?? 0
}
