/**
 * Events against the direction of calls: an object reports something to an object that is composed later. The
 * reporting object knows only a callback; its composer emits the event, and the composer of the other listens.
 */
import { EventEmitter } from 'node:events'
import type { Digest } from '../image/descriptor.ts'

export interface Events {
  /** The source room has a new ref table. */
  'refs-changed': []
  /** A stored blob has disappeared from the storage. */
  'blob-lost': [digest: Digest]
}

export class ServiceEvents extends EventEmitter<Events> {}
