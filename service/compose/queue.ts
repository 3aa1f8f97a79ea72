/** Composes the queue room: work that instances share. */
import { Leases } from '../queue/leases.ts'
import type { Log } from '../telemetry/ports.ts'
import type { Storage } from './storage.ts'

/** @param instance name of this instance, which stays the same across restarts */
export function composeQueue(
  { store, versioned: objects }: Storage,
  instance: string,
  log: Log,
): Leases {
  return new Leases({ store, objects, instance, log })
}
