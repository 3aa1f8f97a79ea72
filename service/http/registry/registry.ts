/**
 * The registry API, pull side.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
 */

import type { Context, Middleware } from 'koa'
import type { ManifestPull } from '../../build/ports.ts'
import { mediaTypes } from '../../image/descriptor.ts'
import { Failure } from '../../image/errors.ts'
import { type ImageName, parseImageName } from '../../image/image-name.ts'
import type { Document } from '../../image/manifest.ts'
import { parseDigest, parseReference } from '../../image/reference.ts'
import type { Source } from '../../source/ports.ts'
import type { BlobReader, ImageCatalog, ServedImages } from '../../storage/ports.ts'
import type { Log } from '../../telemetry/ports.ts'
import { percentDecoded } from '../../text/percent-decoding.ts'
import { prepare } from '../prepared-answers.ts'
import { immutable, serveBlob } from './blobs.ts'
import { chooseManifest } from './negotiate.ts'
import { page } from './paging.ts'
import { registryErrors } from './registry-errors.ts'

export interface RegistryServices {
  readonly pull: ManifestPull
  readonly images: ServedImages
  readonly blobs: BlobReader
  readonly catalog: ImageCatalog
  readonly source: Source
  /** Told of each pull by tag that is answered; must cost nothing. */
  readonly onPull: (name: ImageName, clientAddress: string) => void
  /** Told of the bytes of a blob that were sent. */
  readonly onBlobBytes: (count: number) => void
  readonly log: Log
}

const readMethods = new Set(['GET', 'HEAD'])

// Repository names hold slashes, so the name is all that stands before the last known word.
const manifestRoute = /^\/v2\/(.*)\/manifests\/([^/]+)$/
const blobRoute = /^\/v2\/(.*)\/blobs\/([^/]+)$/
const tagsRoute = /^\/v2\/(.*)\/tags\/list$/
const referrersRoute = /^\/v2\/(.*)\/referrers\/([^/]+)$/
// Tried last: what stands after the name is no reference, and the grammar says why.
const malformedRoute = /^\/v2\/(.*?)\/manifests\/(.*)$/

/** Answers what a route's pattern fits; is given what the pattern captured, percent-decoded. */
type Handler = (ctx: Context, first: string, second: string) => Promise<void> | void

/** Middleware for everything under `/v2`. */
export function registry(services: RegistryServices): Middleware {
  const { pull, images, blobs, catalog, source } = services
  /** The first that fits answers. */
  const routes: [RegExp, Handler][] = []
  const get = (pattern: RegExp, handler: Handler) => routes.push([pattern, handler])

  get(/^\/v2\/?$/, (ctx) => sendJson(ctx, {}))

  get(/^\/v2\/_catalog$/, async (ctx) => {
    sendJson(ctx, { repositories: page(ctx, await catalog.names()) })
  })

  get(tagsRoute, (ctx, repository) => {
    const { text: name } = parseImageName(repository)
    sendJson(ctx, { name, tags: page(ctx, source.tags()) })
  })

  get(manifestRoute, async (ctx, repository, text) => {
    const name = parseImageName(repository)
    const reference = parseReference(text)
    if (reference.kind === 'tag') {
      const { version } = source
      const image = await pull.byTag(name, reference.tag)
      services.onPull(name, ctx.ip)
      ctx.set('Vary', 'Accept')
      if (version !== undefined) {
        prepare(ctx, {
          isTrue: () => source.version === version && images.holds(image),
          onServed: (address) => {
            pull.repeated()
            services.onPull(name, address)
          },
        })
      }
      return sendManifest(ctx, chooseManifest(image, ctx), 'no-cache')
    }
    const { digest } = reference
    const document = await pull.byDigest(digest)
    if (document === undefined) {
      images.forgetBlob(digest)
      throw new Failure('manifest-unknown', `no manifest ${digest} is stored`, {
        detail: { digest },
      })
    }
    prepare(ctx, { isTrue: () => images.holdsDocument(document), onServed: () => {} })
    sendManifest(ctx, document, immutable)
  })

  get(blobRoute, async (ctx, repository, text) => {
    parseImageName(repository)
    const digest = parseDigest(text)
    await serveBlob(ctx, digest, blobs, images, services.onBlobBytes)
  })

  get(referrersRoute, (ctx, repository, text) => {
    parseImageName(repository)
    parseDigest(text)
    if (ctx.query.artifactType !== undefined) ctx.set('OCI-Filters-Applied', 'artifactType')
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }
    sendJson(ctx, index, mediaTypes.ociIndex)
  })

  get(malformedRoute, (_, repository, text) => {
    parseImageName(repository)
    parseReference(text)
  })

  const errors = registryErrors(services.log)
  return async (ctx, next) => {
    if (ctx.path !== '/v2' && !ctx.path.startsWith('/v2/')) return next()
    ctx.set('Docker-Distribution-API-Version', 'registry/2.0')
    await errors(ctx, async () => {
      refuseWrites(ctx)
      for (const [pattern, handler] of routes) {
        const found = pattern.exec(ctx.path)
        if (found)
          return handler(ctx, percentDecoded(found[1] ?? ''), percentDecoded(found[2] ?? ''))
      }
      throw new Failure('route-unknown', `a registry has no ${ctx.path}`)
    })
  }
}

function refuseWrites(ctx: Context): void {
  if (readMethods.has(ctx.method)) return
  ctx.set('Allow', 'GET, HEAD')
  throw new Failure(
    'unsupported',
    `${ctx.method} is not supported: this registry builds its images itself and takes none; ` +
      'push packages to its package-set repository instead',
  )
}

function sendManifest(ctx: Context, { descriptor, bytes }: Document, caching: string): void {
  ctx.status = 200
  ctx.set({
    'Content-Type': descriptor.mediaType,
    'Docker-Content-Digest': descriptor.digest,
    ETag: `"${descriptor.digest}"`,
    'Cache-Control': caching,
  })
  if (ctx.fresh) {
    ctx.status = 304
    return
  }
  // Koa would write any other Uint8Array as JSON.
  ctx.body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

function sendJson(ctx: Context, value: object, type = 'application/json'): void {
  ctx.set('Content-Type', type)
  ctx.body = Buffer.from(JSON.stringify(value))
}
