/**
 * What the registry knows beyond one closure when it cuts that into layers: which images it serves, what is
 * in them, how they were cut, and what changed from release to release.
 *
 * A value that never changes: learning makes another one, with another version. So a plan can be worked out
 * again from a closure and the version that its record names, and an image that is added cuts no other anew.
 */

import type { Closure, Plan, StorePath } from '../closure/closure.ts'
import { extend, type Step } from './change-history.ts'
import { Fleet } from './image-sets.ts'
import {
  compact,
  type KnowledgeDocument,
  type KnownImage,
  pathsOf,
  versionOf,
} from './knowledge-document.ts'

export type { KnowledgeDocument } from './knowledge-document.ts'

/** An image as it is now. */
export interface ServedImage {
  /** The same for the same image in every release: packages and platform, without tag. */
  readonly name: string
  readonly closure: Closure
  /** Absent if the closure is known before it is planned. */
  readonly plan?: Plan
}

/** Most images that are remembered; those go that were not learned for the longest time. */
const mostImages = 1000

/** Several tags and branches of an image are built in turn: each should find its own last cut. */
const plansPerImage = 3

export class LayerKnowledge {
  /** Of a new registry. */
  static readonly none = new LayerKnowledge({ paths: [], layers: [], images: [], history: [] })

  readonly document: KnowledgeDocument
  #version: string | undefined
  #fleet: Fleet | undefined

  /** @param document as it was stored, whole */
  constructor(document: KnowledgeDocument) {
    this.document = document
  }

  /** `none`, or a hash of what is known. */
  get version(): string {
    this.#version ??= this.isEmpty ? 'none' : versionOf(this.document)
    return this.#version
  }

  get isEmpty(): boolean {
    return this.document.images.length === 0
  }

  /** The same, arranged for the planner's questions. */
  get fleet(): Fleet {
    this.#fleet ??= new Fleet(this.document)
    return this.#fleet
  }

  /**
   * What is known after images were built. One call is taken for one release, so the images of a release
   * are best learned together; their order has no effect. Each name may be there once.
   */
  learn(images: readonly ServedImage[]): LayerKnowledge {
    if (images.length === 0) return this
    const { document } = this
    const known = new Map(document.images.map((image) => [image.name, image]))
    const register = new Register(document)
    const learned: KnownImage[] = []
    const steps: Step[] = []
    for (const image of images.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const before = known.get(image.name)
      known.delete(image.name)
      learned.push(register.enter(image, before))
      if (before === undefined) continue
      const paths = pathsOf(document, before).map((path) => document.paths[path] as StorePath)
      steps.push({ before: paths, closure: image.closure })
    }
    return new LayerKnowledge(
      compact({
        paths: register.paths,
        layers: register.layers,
        images: [...learned, ...known.values()].slice(0, mostImages),
        history: extend(document.history, steps),
      }),
    )
  }
}

/** Gives numbers to paths and layers; those that are known keep theirs. */
class Register {
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

  enter({ name, closure, plan }: ServedImage, before: KnownImage | undefined): KnownImage {
    const paths = closure.map(({ path }) => path).sort()
    const isReferred = new Set(
      closure.flatMap(({ path, references }) => references.filter((other) => other !== path)),
    )
    // Numbered in this order, whatever the order of closure and plan.
    const unplanned = paths.map((path) => this.#numberOf(path))
    const tops = paths.filter((path) => !isReferred.has(path)).map((path) => this.#numberOf(path))
    const plans = before?.plans ?? []
    if (plan === undefined) return { name, tops, plans, unplanned }
    const latest = plan.map((layer) => this.#layerOf(layer))
    const others = plans.filter((other) => other.join() !== latest.join())
    return { name, tops, plans: [latest, ...others].slice(0, plansPerImage) }
  }

  #numberOf(path: StorePath): number {
    const number = this.#pathNumbers.get(path) ?? this.paths.length
    if (number === this.paths.length) {
      this.paths.push(path)
      this.#pathNumbers.set(path, number)
    }
    return number
  }

  #layerOf(layer: readonly StorePath[]): number {
    const paths = layer.map((path) => this.#numberOf(path))
    const key = paths.join()
    const number = this.#layerNumbers.get(key) ?? this.layers.length
    if (number === this.layers.length) {
      this.layers.push(paths)
      this.#layerNumbers.set(key, number)
    }
    return number
  }
}
