/** Builds an image: evaluate → realise → closure → plan → pack → publish. */

import type { Closure, Plan } from '../closure/closure.ts'
import { type EvaluatedPackage, storePathsOf } from '../closure/package.ts'
import type { PriorityLimiter } from '../concurrency/priority-limiter.ts'
import { canonicalName } from '../image/image-name.ts'
import type { Recipe } from '../image/keys.ts'
import {
  assembleImage,
  type ContainerConfig,
  type Document,
  type Layer,
} from '../image/manifest.ts'
import type { LayerPlanner } from '../layering/ports.ts'
import type { BlobStore, ImageRecord, RecordStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import { BuildReport } from './build-report.ts'
import { containerConfigOf, linkFarmOf } from './image-content.ts'
import type { LayerCache, LayerRequest } from './layer-cache.ts'
import { linkFarmRequest, storePathRequests } from './layer-requests.ts'
import type {
  BuildMetrics,
  BuildRequest,
  ImageEvaluation,
  JournalWriter,
  LayerPacker,
  NixStore,
} from './ports.ts'

export interface BuiltImage {
  readonly record: ImageRecord
  /** The manifests that were stored. */
  readonly manifests: readonly Document[]
}

export interface BuildImageOptions {
  readonly evaluation: ImageEvaluation
  readonly nix: NixStore
  readonly packer: LayerPacker
  readonly layers: LayerCache
  readonly images: RecordStore<ImageRecord>
  readonly blobs: BlobStore
  readonly planning: LayerPlanner
  readonly recipe: Recipe
  /** Limits evaluating and realising. */
  readonly nixLimiter: PriorityLimiter
  /** Limits planning, packing and publishing. */
  readonly packLimiter: PriorityLimiter
  readonly journal: JournalWriter
  readonly metrics: BuildMetrics
  readonly log: Log
}

/** An image whose closure is in the Nix store. */
interface RealisedImage {
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
   * Builds and stores the image: first its blobs, then its manifests, then its record.
   * @throws Failure manifest-unknown, evaluation-failed, build-failed, build-timed-out, unavailable
   */
  async build(request: BuildRequest): Promise<BuiltImage> {
    const { nix } = this.#options
    const report = new BuildReport(request, this.#options)
    try {
      const built = await this.#build(request, report)
      report.built(built.record.oci.digest)
      return built
    } catch (error) {
      report.failed(error)
      throw error
    } finally {
      // GC roots that remain only cost disk space, so they do not change the outcome of the build.
      await nix.release(request.imageKey).catch((error: unknown) => report.rootsRemain(error))
    }
  }

  async #build(request: BuildRequest, report: BuildReport): Promise<BuiltImage> {
    const { nixLimiter, packLimiter } = this.#options
    const { cause } = request
    const realise = () => this.#realise(request, report)
    // A batch has realised the outputs under this limit already, so the image must not wait for a slot again.
    const image = request.realised ? await realise() : await nixLimiter.run(cause, realise)
    return packLimiter.run(cause, () => this.#packAndPublish(request, image, report))
  }

  /** Evaluates the image, realises its packages and reads their closure. */
  async #realise(request: BuildRequest, report: BuildReport): Promise<RealisedImage> {
    const { evaluation, nix } = this.#options
    const { name, revision, imageKey, cause, limit } = request
    const packages = await report.stage(
      'evaluate',
      () => request.packages ?? evaluation.packages(name, revision),
    )
    // An invalid `imageConfig` is reported before anything is built.
    const config = containerConfigOf(name, packages)
    const paths = [...new Set(packages.flatMap(storePathsOf))]
    // Most outputs are valid already. Realising then only creates GC roots, which takes as long as reading the
    // closure, so both run at once.
    const early = nix.closure(paths).catch(() => undefined)
    await report.stage('realise', () => nix.realise(packages, { cause, limit, roots: imageKey }))
    const closure = await report.stage('closure', async () => (await early) ?? nix.closure(paths))
    return { packages, config, closure }
  }

  async #packAndPublish(
    request: BuildRequest,
    { packages, config, closure }: RealisedImage,
    report: BuildReport,
  ): Promise<BuiltImage> {
    const { planning, layers } = this.#options
    const { name } = request
    const plan = await report.stage('plan', () => planning.plan(closure))
    const requests = this.#layerRequests(request, packages, closure, plan)
    const packed = await report.stage('pack', () => layers.getAll(requests))
    const built = await report.stage('publish', () => this.#publish(request, config, packed))
    planning.note({ name: canonicalName(name), closure, plan })
    return built
  }

  /**
   * Returns requests for all layers of the image, the link farm last. Clients identify a layer together with
   * the layers below it. So a client reuses all other layers if only the link farm changed.
   */
  #layerRequests(
    { name }: BuildRequest,
    packages: readonly EvaluatedPackage[],
    closure: Closure,
    plan: Plan,
  ): LayerRequest[] {
    const { packer, recipe } = this.#options
    const linkFarm = linkFarmOf(name, packages, closure)
    return [
      ...storePathRequests(plan, closure, recipe, packer),
      linkFarmRequest(linkFarm, recipe, packer),
    ]
  }

  /** Stores config and manifests, then the record that makes them visible. */
  async #publish(
    { name, revision, imageKey }: BuildRequest,
    containerConfig: ContainerConfig,
    layers: readonly Layer[],
  ): Promise<BuiltImage> {
    const { blobs, images, recipe } = this.#options
    const { config, oci, docker } = assembleImage(
      layers,
      containerConfig,
      name.platform,
      recipe.compression,
    )
    await blobs.putDocument(config)
    await Promise.all([blobs.putDocument(oci), blobs.putDocument(docker)])
    const record: ImageRecord = {
      name: name.text,
      packages: [...name.packages],
      architecture: name.platform.architecture,
      revision: revision.id,
      oci: oci.descriptor,
      docker: docker.descriptor,
      size: layers.reduce((sum, { size }) => sum + size, 0),
    }
    // Not `settle`: an existing record names an image that was found incomplete.
    await images.replace(imageKey, record)
    return { record, manifests: [oci, docker] }
  }
}
