/** Statistics of store paths over all known images and their releases. */
import type { StorePath } from '../closure/closure.ts'
import { type KnowledgeDocument, pathsOf } from './knowledge-document.ts'
import { identitiesOf, identityOf } from './path-identity.ts'

export interface PathStatistics {
  /** One object, shared by all paths of the image set. */
  readonly imageSet: ImageSet
  /** True if no other path of some image refers to the path: the name of that image then requests it. */
  readonly isRequested: boolean
  /** Number of releases in which the path was observed. */
  readonly releases: number
  /** Number of these releases that changed the path itself. */
  readonly changes: number
}

/** The set of images that a path is known to be in. Paths of one image set are candidates for one layer. */
export interface ImageSet {
  readonly imageCount: number
  /** Number of paths in each image of the set. */
  readonly pathCounts: readonly number[]
}

/** Returns the statistics of all paths in the images of the document, by path identity. */
export function pathStatisticsOf(document: KnowledgeDocument): Map<string, PathStatistics> {
  const { imagesOf, requested, pathCounts } = membershipOf(document)
  const historyOf = new Map(document.history.map(([identity, ...counts]) => [identity, counts]))
  const imageSets = new Map<string, ImageSet>()
  const statistics = new Map<string, PathStatistics>()
  for (const [identity, images] of imagesOf) {
    const key = images.join()
    const imageSet = imageSets.get(key) ?? {
      imageCount: images.length,
      pathCounts: images.map((image) => pathCounts[image] as number),
    }
    imageSets.set(key, imageSet)
    const [releases, changes] = historyOf.get(identity) ?? [0, 0]
    const isRequested = requested.has(identity)
    statistics.set(identity, { imageSet, isRequested, releases, changes })
  }
  return statistics
}

interface Membership {
  /** Path identity → indices of the images that have the path. */
  readonly imagesOf: ReadonlyMap<string, readonly number[]>
  /** Identities of the paths that some image requests. */
  readonly requested: ReadonlySet<string>
  /** Number of paths of each image. */
  readonly pathCounts: readonly number[]
}

function membershipOf(document: KnowledgeDocument): Membership {
  const { paths, images } = document
  const unnumbered = paths.map(identityOf)
  const imagesOf = new Map<string, number[]>()
  const requested = new Set<string>()
  const pathCounts: number[] = []
  for (const [image, known] of images.entries()) {
    const numbers = pathsOf(document, known)
    const isTop = new Set(known.tops)
    const identities = identitiesOf(
      numbers.map((path) => paths[path] as StorePath),
      numbers.map((path) => unnumbered[path] as string),
    )
    pathCounts.push(numbers.length)
    for (const [place, identity] of identities.entries()) {
      const others = imagesOf.get(identity)
      if (others) others.push(image)
      else imagesOf.set(identity, [image])
      if (isTop.has(numbers[place] as number)) requested.add(identity)
    }
  }
  return { imagesOf, requested, pathCounts }
}
