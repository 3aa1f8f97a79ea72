/** Services of other rooms that the routes use. */
import type { BuildHistory, ManifestPull } from '../build/ports.ts'
import type { ImageName } from '../image/image-name.ts'
import type { RefStates } from '../prebuild/ports.ts'
import type { Source, TrackedRepository } from '../source/ports.ts'
import type { BlobReader, ImageCatalog, ImageFreshness, ObjectStore } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import type { Authorise } from './authorise.ts'
import type { MetricsText } from './ports.ts'
import type { WebhookOutcome } from './webhooks/outcome.ts'
import type { ProviderName } from './webhooks/provider.ts'

export interface HttpServices {
  readonly registry: RegistryServices
  readonly webhooks: WebhookServices
  readonly status: StatusServices
  readonly ops: OpsServices
  readonly authorise: Authorise
  readonly log: Log
}

export interface RegistryServices {
  readonly pull: ManifestPull
  readonly images: ImageFreshness
  readonly blobs: BlobReader
  readonly catalog: ImageCatalog
  readonly source: Pick<Source, 'version' | 'tags'>
  /** Called for each pull by tag that is answered. Must not wait for anything. */
  readonly onPull: (name: ImageName, clientAddress: string) => void
  /** Called with the number of bytes of a blob that were sent. */
  readonly onBlobBytes: (count: number) => void
}

export interface WebhookServices {
  /** Without a secret, or with an empty one, there are no webhooks. */
  readonly secret?: string | undefined
  readonly repository: TrackedRepository
  /** Requests a reconcile, and returns at once. */
  readonly request: () => void
  readonly onOutcome: (provider: ProviderName, outcome: WebhookOutcome) => void
  /** Milliseconds that a payload may take to arrive. @default 10000 */
  readonly bodyTimeout?: number
}

export interface StatusServices {
  readonly builds: BuildHistory
  /** Absent for a source without refs. */
  readonly refs?: RefStates | undefined
  readonly source: Pick<Source, 'status'>
  /** Forgets remembered failures and requests a reconcile; returns at once. */
  readonly retry: () => void
  /** URL under which clients reach the service. If absent, the page shows the `Host` that the client sends. */
  readonly publicUrl?: URL | undefined
}

export interface OpsServices {
  readonly source: Pick<Source, 'status'>
  readonly storage: Pick<ObjectStore, 'outage'>
  readonly metrics: MetricsText
}
