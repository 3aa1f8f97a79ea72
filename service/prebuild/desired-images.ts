/**
 * Decides which images should exist before a client pulls them.
 *
 *     refs in scope             images of each ref            missing images
 *
 *     tag v2     ── pushed ──>  declared a, b; popular c  ──> those without a record
 *     tag v1     ── found ───>  declared a; popular c     ──> none, if a has a record
 *     main       ── found ───>  declared a, b; popular c  ──> all without a record, if a or b is among them
 *
 * Declared images are named in `slipway.json` at the ref's commit. Popular images are the most pulled ones.
 */

import { Failure } from '../image/errors.ts'
import type { ImageName } from '../image/image-name.ts'
import { imageKey, type Recipe } from '../image/keys.ts'
import { isTagRef, shortRefName } from '../image/ref-name.ts'
import type { Revision } from '../source/ports.ts'
import type { DeclaredImages } from './declared-images.ts'
import type { PullCounter } from './pull-counter.ts'
import type { RefInScope } from './refs-in-scope.ts'
import type { PrebuildConfig } from './slipway-json.ts'

/** Image that is built before a client pulls it. */
export interface Prebuild {
  readonly imageKey: string
  readonly name: ImageName
  readonly revision: Revision
}

export interface DesiredImage extends Prebuild {
  /** True if `slipway.json` names the image; otherwise it is one of the most pulled. */
  readonly isDeclared: boolean
}

export interface ImagesOfRef {
  readonly ref: RefInScope
  readonly images: readonly DesiredImage[]
  /** Why `slipway.json` is invalid; the images are then the popular ones only. */
  readonly failure?: Failure
}

export interface DesiredImagesOptions {
  readonly declared: DeclaredImages
  readonly pulls: PullCounter
  /** Number of the most pulled images that every ref should have. */
  readonly popular: number
  readonly recipe: Recipe
}

export class DesiredImages {
  readonly #options: DesiredImagesOptions

  constructor(options: DesiredImagesOptions) {
    this.#options = options
  }

  /** Returns the images that each ref should have. @throws Failure unavailable, if git cannot be read */
  async of(refs: readonly RefInScope[]): Promise<readonly ImagesOfRef[]> {
    const { declared, pulls, popular, recipe } = this.#options
    const mostPulled = pulls.mostPulled(popular)
    return Promise.all(
      refs.map(async (ref) => {
        const config = await declared.at(ref.commit)
        if (!(config instanceof Failure)) {
          return { ref, images: imagesOf(ref, config, mostPulled, recipe) }
        }
        const images = imagesOf(ref, { images: [] }, mostPulled, recipe)
        return { ref, images, failure: config }
      }),
    )
  }
}

/**
 * Returns the images that a ref should have: the declared ones, then the popular ones, each once. There are
 * none if the globs of `slipway.json` exclude the ref.
 * @param popular most pulled first
 */
export function imagesOf(
  { ref, commit }: RefInScope,
  config: PrebuildConfig,
  popular: readonly ImageName[],
  recipe: Recipe,
): readonly DesiredImage[] {
  const globs = isTagRef(ref) ? config.tags : config.branches
  if (globs !== undefined && !globs.matches(shortRefName(ref))) return []
  const revision = { id: commit, ref }
  const desired = (name: ImageName, isDeclared: boolean): DesiredImage => {
    return { imageKey: imageKey(revision, name, recipe), name, revision, isDeclared }
  }
  return eachOnce([
    ...config.images.map((name) => desired(name, true)),
    ...popular.map((name) => desired(name, false)),
  ])
}

/**
 * Returns the images of one ref that have to be built now. A ref that was found, not pushed, needs none if
 * all its declared images exist or, if it declares none, if any of its images exists: an image that becomes
 * popular later is not built for every old ref.
 * @param images result of `imagesOf`
 * @param isDone returns whether the image has a record, or is known not to build
 */
export function missingImages(
  { cause }: RefInScope,
  images: readonly DesiredImage[],
  isDone: (image: DesiredImage) => boolean,
): readonly DesiredImage[] {
  const missing = images.filter((image) => !isDone(image))
  if (cause === 'pushed') return missing
  const isDue = images.some(({ isDeclared }) => isDeclared)
    ? missing.some(({ isDeclared }) => isDeclared)
    : missing.length === images.length
  return isDue ? missing : []
}

/** Removes all but the first of the images with the same key: several refs may lead to one commit. */
export function eachOnce(images: readonly DesiredImage[]): readonly DesiredImage[] {
  const first = new Map<string, DesiredImage>()
  for (const image of images) if (!first.has(image.imageKey)) first.set(image.imageKey, image)
  return [...first.values()]
}
