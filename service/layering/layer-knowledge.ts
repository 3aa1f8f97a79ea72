/**
 * The planner's knowledge beyond one closure: the images that the registry serves, their paths, how they were
 * cut into layers, and which paths changed from release to release.
 *
 * Knowledge is immutable: learning returns new knowledge with another version. A plan is a function of the
 * closure and of the version that its record names, so a new image changes no existing plan.
 */

import type { Closure, Plan, StorePath } from '../closure/closure.ts'
import { compareCodeUnits } from '../text/order.ts'
import { extendHistory, type ImageUpdate } from './change-history.ts'
import {
  compact,
  type KnowledgeDocument,
  type KnownImage,
  pathsOf,
  versionOf,
} from './knowledge-document.ts'
import { KnownImages } from './known-images.ts'

export type { KnowledgeDocument } from './knowledge-document.ts'

/** An image in its current release. */
export interface ServedImage {
  /** Packages and platform, without tag: the same name in every release. */
  readonly name: string
  readonly closure: Closure
  /** Absent while the closure is known but not planned yet. */
  readonly plan?: Plan
}

/** Most images in the document. Beyond that, those that were not learned for the longest time are dropped. */
const maxImages = 1000

/** Plans kept for each image. Several tags and branches may be built in turn, and each needs its own last plan. */
const plansPerImage = 3

export class LayerKnowledge {
  /** The knowledge of a new registry. */
  static readonly none = new LayerKnowledge({ paths: [], layers: [], images: [], history: [] })

  readonly document: KnowledgeDocument
  #version: string | undefined
  #knownImages: KnownImages | undefined

  constructor(document: KnowledgeDocument) {
    this.document = document
  }

  /** `none`, or a hash of the document. */
  get version(): string {
    this.#version ??= this.isEmpty ? 'none' : versionOf(this.document)
    return this.#version
  }

  get isEmpty(): boolean {
    return this.document.images.length === 0
  }

  /** Index over the document, built at the first access. */
  get knownImages(): KnownImages {
    this.#knownImages ??= new KnownImages(this.document)
    return this.#knownImages
  }

  /**
   * Returns the knowledge after these images were built. One call counts as one release, so all images of a
   * release are best learned together. Their order has no effect.
   * @param images each name at most once
   */
  learn(images: readonly ServedImage[]): LayerKnowledge {
    if (images.length === 0) return this
    const { document } = this
    const known = new Map(document.images.map((image) => [image.name, image]))
    const numbering = new Numbering(document)
    const learned: KnownImage[] = []
    const updates: ImageUpdate[] = []
    for (const image of images.toSorted((a, b) => compareCodeUnits(a.name, b.name))) {
      const before = known.get(image.name)
      known.delete(image.name)
      learned.push(numbering.knownImageOf(image, before?.plans ?? []))
      if (before === undefined) continue
      const previousPaths = pathsOf(document, before).map((path) => {
        return document.paths[path] as StorePath
      })
      updates.push({ previousPaths, closure: image.closure })
    }
    return new LayerKnowledge(
      compact({
        paths: numbering.paths,
        layers: numbering.layers,
        images: [...learned, ...known.values()].slice(0, maxImages),
        history: extendHistory(document.history, updates),
      }),
    )
  }
}

/** Numbers the paths and layers of a document. Known ones keep their numbers; new ones are appended. */
class Numbering {
  readonly paths: StorePath[]
  readonly layers: (readonly number[])[]
  readonly #pathNumbers: Map<StorePath, number>
  readonly #layerNumbers: Map<string, number>

  constructor({ paths, layers }: KnowledgeDocument) {
    this.paths = [...paths]
    this.layers = [...layers]
    this.#pathNumbers = new Map(paths.map((path, number) => [path, number]))
    this.#layerNumbers = new Map(layers.map((layer, number) => [layer.join(), number]))
  }

  /** @param earlierPlans of the same image */
  knownImageOf(
    { name, closure, plan }: ServedImage,
    earlierPlans: readonly (readonly number[])[],
  ): KnownImage {
    const paths = closure.map(({ path }) => path).sort()
    const isReferenced = new Set(
      closure.flatMap(({ path, references }) => references.filter((other) => other !== path)),
    )
    // All paths are numbered first, in sorted order, so that the order of closure and plan has no effect.
    const unplanned = paths.map((path) => this.#numberOfPath(path))
    const tops = paths
      .filter((path) => !isReferenced.has(path))
      .map((path) => this.#numberOfPath(path))
    if (plan === undefined) return { name, tops, plans: earlierPlans, unplanned }
    const latest = plan.map((layer) => this.#numberOfLayer(layer))
    const others = earlierPlans.filter((other) => other.join() !== latest.join())
    return { name, tops, plans: [latest, ...others].slice(0, plansPerImage) }
  }

  #numberOfPath(path: StorePath): number {
    const number = this.#pathNumbers.get(path) ?? this.paths.length
    if (number === this.paths.length) {
      this.paths.push(path)
      this.#pathNumbers.set(path, number)
    }
    return number
  }

  #numberOfLayer(layer: readonly StorePath[]): number {
    const paths = layer.map((path) => this.#numberOfPath(path))
    const key = paths.join()
    const number = this.#layerNumbers.get(key) ?? this.layers.length
    if (number === this.layers.length) {
      this.layers.push(paths)
      this.#layerNumbers.set(key, number)
    }
    return number
  }
}
