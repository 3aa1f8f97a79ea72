/** The route table: all requests that the service answers. */
import { authoriseStep, sameSiteOnly } from './authorise.ts'
import { sendLiveness, sendReadiness } from './ops/health.ts'
import { sendMetrics } from './ops/metrics.ts'
import { sendBase } from './registry/base.ts'
import { parseBlobPath, sendBlob } from './registry/blobs.ts'
import { sendCatalog } from './registry/catalog.ts'
import { parseManifestPath, sendManifest } from './registry/manifests.ts'
import { parsePage } from './registry/paging.ts'
import { parseReferrersPath, sendReferrers } from './registry/referrers.ts'
import { parseTagsRequest, sendTags } from './registry/tags.ts'
import { explainUnknownPath } from './registry/unknown-path.ts'
import { any, get, post, type Route } from './route.ts'
import type { HttpServices } from './services.ts'
import {
  parseBuildId,
  parseListLength,
  requestRetry,
  sendBuild,
  sendBuilds,
  sendRefs,
} from './status/api.ts'
import { sendStatusPage } from './status/page.ts'
import { generic } from './webhooks/generic.ts'
import { gitea } from './webhooks/gitea.ts'
import { github } from './webhooks/github.ts'
import { gitlab } from './webhooks/gitlab.ts'
import { explainWebhooksOff, receiveDelivery } from './webhooks/receive-delivery.ts'

export function routes(services: HttpServices): Route[] {
  const { registry, webhooks, status, ops, log } = services
  const { secret } = webhooks
  const authorise = authoriseStep(services.authorise)
  return [
    // The registry API: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
    get('/v2', authorise, sendBase),
    get('/v2/', authorise, sendBase),
    get('/v2/_catalog', parsePage, authorise, sendCatalog(registry)),
    get('/v2/<name>/tags/list', parseTagsRequest, authorise, sendTags(registry)),
    get('/v2/<name>/manifests/<reference>', parseManifestPath, authorise, sendManifest(registry)),
    get('/v2/<name>/blobs/<digest>', parseBlobPath, authorise, sendBlob(registry)),
    get('/v2/<name>/referrers/<digest>', parseReferrersPath, authorise, sendReferrers),
    get('/v2/<rest>', authorise, explainUnknownPath),

    // Webhooks of git hosting services.
    ...(secret
      ? [
          post('/webhooks/github', authorise, receiveDelivery(github(secret), webhooks, log)),
          post('/webhooks/gitlab', authorise, receiveDelivery(gitlab(secret), webhooks, log)),
          post('/webhooks/gitea', authorise, receiveDelivery(gitea(secret), webhooks, log)),
          post('/webhooks/generic', authorise, receiveDelivery(generic(secret), webhooks, log)),
        ]
      : [any('/webhooks/<rest>', authorise, explainWebhooksOff)]),

    // The status page, and its contents as JSON.
    get('/', authorise, sendStatusPage(status, log)),
    get('/api/refs', parseListLength, authorise, sendRefs(status)),
    get('/api/builds', parseListLength, authorise, sendBuilds(status)),
    get('/api/builds/<id>', parseBuildId, authorise, sendBuild(status)),
    post('/api/retry', sameSiteOnly(authorise), requestRetry(status)),

    // For the operator's monitoring. Some health checks send OPTIONS or POST.
    any('/healthz', authorise, sendLiveness),
    any('/readyz', authorise, sendReadiness(ops)),
    get('/metrics', authorise, sendMetrics(ops)),
  ]
}
