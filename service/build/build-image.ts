/** Builds an image: evaluate → realise → closure → plan → layers → manifests → record. */

import { type Closure, type StorePath, storePathName } from '../closure/closure.ts'
import { type EvaluatedPackage, storePathsOf } from '../closure/package.ts'
import type { PriorityLimiter } from '../concurrency/priority-limiter.ts'
import { containerConfig } from '../image/container-config.ts'
import { messageOf } from '../image/errors.ts'
import { canonicalName, type ImageName } from '../image/image-name.ts'
import { layerKey, linkFarmKey, type Recipe } from '../image/keys.ts'
import type { LinkFarm } from '../image/link-farm.ts'
import {
  assembleImage,
  type ContainerConfig,
  type Document,
  type Layer,
} from '../image/manifest.ts'
import type { LayerPlanner } from '../layering/ports.ts'
import type { Revision } from '../source/ports.ts'
import type { BlobStore, ImageRecord, RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import type { BuildJournal } from './build-journal.ts'
import type { EvaluateImage } from './evaluate-image.ts'
import type { LayerCache, LayerRequest } from './layer-cache.ts'
import type { BuilderLimit, BuildMetrics, Cause, LayerPacker, NixStore } from './ports.ts'
import { Stopwatch } from './stopwatch.ts'

export interface BuildRequest {
  readonly name: ImageName
  readonly revision: Revision
  readonly imageKey: string
  /** What the name was evaluated to, if that is known already. */
  readonly packages?: readonly EvaluatedPackage[]
  /** The outputs are valid already: nothing is left to wait for but to hold them. */
  readonly realised?: boolean
  readonly cause: Cause
  readonly limit: BuilderLimit
}

export interface BuiltImage {
  readonly record: ImageRecord
  /** As they were stored. */
  readonly manifests: readonly Document[]
}

export interface BuildImageOptions {
  readonly evaluation: EvaluateImage
  readonly nix: NixStore
  readonly packer: LayerPacker
  readonly layers: LayerCache
  readonly images: RecordStore<ImageRecord>
  readonly blobs: BlobStore
  readonly planning: LayerPlanner
  readonly recipe: Recipe
  /** Evaluating and realising. */
  readonly nixLimiter: PriorityLimiter
  /** Packing and storing. */
  readonly packLimiter: PriorityLimiter
  readonly journal: BuildJournal
  readonly metrics: BuildMetrics
  readonly log: Log
}

/** An image whose packages are in the Nix store. */
interface Realised {
  readonly packages: readonly EvaluatedPackage[]
  readonly config: ContainerConfig
  readonly closure: Closure
}

export class BuildImage {
  readonly #options: BuildImageOptions

  constructor(options: BuildImageOptions) {
    this.#options = options
  }

  /**
   * The image, its record stored after everything that it names.
   * @throws Failure manifest-unknown, evaluation-failed, build-failed, build-timed-out, unavailable
   */
  async build(request: BuildRequest): Promise<BuiltImage> {
    const { nix, nixLimiter, packLimiter, planning, journal, metrics, log } = this.#options
    const { name, revision, imageKey, cause } = request
    const entry = journal.begin({
      image: name.text,
      revision: revision.id,
      ref: revision.ref,
      cause,
    })
    const watch = new Stopwatch((stage, milliseconds) => {
      entry.stage(stage, milliseconds)
      metrics.stageEnded(stage, milliseconds / 1000)
    })
    const image = { image: name.text, revision: revision.id, cause }
    log.info({ ...image, ref: revision.ref }, 'building image')
    try {
      const realise = () => this.#realise(request, watch)
      const { packages, config, closure } = request.realised
        ? await realise()
        : await nixLimiter.run(cause, realise)
      const built = await packLimiter.run(cause, async () => {
        const plan = await watch.time('plan', () => planning.plan(closure))
        const linkFarm = linkFarmOf(name, packages, closure)
        const layers = await watch.time('pack', () => this.#pack(closure, plan, linkFarm))
        const published = await watch.time('publish', () => this.#publish(request, config, layers))
        planning.note({ name: canonicalName(name), closure, plan })
        return published
      })
      const { digest } = built.record.oci
      log.info({ ...image, digest, ...watch.report() }, 'image built')
      entry.built(digest)
      metrics.buildEnded('built', cause)
      return built
    } catch (error) {
      // Here and not only where it is answered: by then nobody may wait for it any more.
      log.warn({ ...image, failure: messageOf(error), ...watch.report() }, 'image not built')
      entry.failed(error)
      metrics.buildEnded('failed', cause)
      throw error
    } finally {
      // Roots that stay cost disk space; they do not make the image wrong, nor change why it failed.
      await nix.release(imageKey).catch((error: unknown) => {
        log.warn({ ...image, failure: messageOf(error) }, 'GC roots could not be removed')
      })
    }
  }

  /** The packages, in the Nix store. */
  async #realise(
    { name, revision, imageKey, packages: known, cause, limit }: BuildRequest,
    watch: Stopwatch,
  ): Promise<Realised> {
    const { evaluation, nix } = this.#options
    const packages = await watch.time(
      'evaluate',
      () => known ?? evaluation.packages(name, revision),
    )
    // Before anything is built: a fault in it is told at once.
    const config = configOf(name, packages)
    const paths = [...new Set(packages.flatMap(storePathsOf))]
    // Most often they are valid already, and holding them takes as long as reading what they refer to.
    const early = nix.closure(paths).catch(() => undefined)
    await watch.time('realise', () => nix.realise(packages, { cause, limit, roots: imageKey }))
    const closure = await watch.time('closure', async () => (await early) ?? nix.closure(paths))
    return { packages, config, closure }
  }

  /** All layers, the link farm last, so that it changes nothing below it. */
  async #pack(
    closure: Closure,
    plan: readonly StorePath[][],
    linkFarm: LinkFarm,
  ): Promise<Layer[]> {
    const { layers, packer, recipe } = this.#options
    const sizes = new Map(closure.map(({ path, narSize }) => [path, narSize]))
    const requests: LayerRequest[] = plan.map((paths) => ({
      key: layerKey(paths, recipe),
      size: mostBytes(paths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0)),
      description: describePaths('', paths),
      pack: () => packer.packStorePaths(paths),
    }))
    requests.push({
      key: linkFarmKey(linkFarm, recipe),
      size: linksSize,
      description: describePaths(
        'links to ',
        linkFarm.packages.map(({ storePath }) => storePath),
      ),
      pack: () => packer.packLinkFarm(linkFarm),
    })
    // The largest first, so that in the end no core waits for one that has just begun.
    const packing = new Map<LayerRequest, Promise<Layer>>()
    for (const request of requests.toSorted((a, b) => b.size - a.size)) {
      packing.set(request, layers.get(request))
    }
    const outcomes = await Promise.allSettled(
      requests.map((request) => packing.get(request) as Promise<Layer>),
    )
    // Only when none is being packed any more may the roots go that keep the store paths.
    return outcomes.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    })
  }

  async #publish(
    { name, revision, imageKey }: BuildRequest,
    config: ContainerConfig,
    layers: readonly Layer[],
  ): Promise<BuiltImage> {
    const { blobs, images, recipe } = this.#options
    const image = assembleImage(layers, config, name.platform, recipe.compression)
    const manifests = [image.oci, image.docker]
    await blobs.putDocument(image.config)
    await Promise.all(manifests.map((document) => blobs.putDocument(document)))
    const record: ImageRecord = {
      name: name.text,
      packages: [...name.packages],
      architecture: name.platform.architecture,
      revision: revision.id,
      oci: image.oci.descriptor,
      docker: image.docker.descriptor,
      size: layers.reduce((sum, { size }) => sum + size, 0),
    }
    // Replaced, not settled: a record that is there names a manifest that was found incomplete.
    await images.replace(imageKey, record)
    return { record, manifests }
  }
}

function configOf(name: ImageName, packages: readonly EvaluatedPackage[]): ContainerConfig {
  const asked = packages.filter((found) => name.packages.includes(found.name))
  const hasCertificates = packages.some((found) => found.name === 'cacert')
  return containerConfig(name, asked, hasCertificates)
}

/** In an order of its own, so that equal content has equal bytes however it was asked for. */
function linkFarmOf(
  name: ImageName,
  packages: readonly EvaluatedPackage[],
  closure: Closure,
): LinkFarm {
  const roots = packages.map(({ storePath }) => storePath)
  const env = [...roots, ...closure.map(({ path }) => path)].find((path) =>
    /^coreutils(-full)?(-[\d.]+)?$/.test(storePathName(path)),
  )
  return {
    packages: packages
      .map(({ name: own, storePath, priority }) => {
        return { name: own, storePath, priority, isRequested: name.packages.includes(own) }
      })
      .sort((a, b) => (a.storePath < b.storePath ? -1 : 1)),
    ...(env === undefined ? {} : { env }),
  }
}

/** Bytes of a layer at most: a tar has a header and padding for each file, of which a NAR has less. */
function mostBytes(narSize: number): number {
  return Math.ceil(narSize * 1.25) + 1024 * 1024
}

/** Bytes that a link farm may take: thousands of links. */
const linksSize = 8 * 1024 * 1024

/** Characters of a description: for people who read `docker history`, not for machines. */
const longestDescription = 200

function describePaths(verb: string, paths: readonly StorePath[]): string {
  const names = `${verb}${paths.map(storePathName).join(', ')}`
  return names.length <= longestDescription ? names : `${names.slice(0, longestDescription)}…`
}
