/**
 * What one room tells another against the direction of calls. Rooms report through a callback; here stands
 * which events there are, and `service.ts` says who hears them.
 */
import { EventEmitter } from 'node:events'
import type { Digest } from '../image/descriptor.ts'

export interface Events {
  /** The source has other branches or tags than before. */
  'refs-changed': []
  /** A blob that was stored is not in the storage any more. */
  'blob-lost': [digest: Digest]
  /** A pull has started a build, or waits for one. */
  'pull-building': [imageKey: string, build: Promise<unknown>]
}

export class ServiceEvents extends EventEmitter<Events> {}
