/**
 * Leases: of several instances that share a storage one builds an image, and the others wait for it.
 *
 *     instance A                 leases/<image key>                instance B
 *     writes it ───────────────► version 1
 *                                     ◄────────────────────────── may not write it, remembers version 1
 *     writes it again ─────────► version 2                         … sees version 2: A is alive
 *     is killed                                                    … sees version 2 for too long
 *                                version 3 ◄────────────────────── writes it in place of version 2, builds
 *
 * Whether an owner is alive is told by the versions that come, as the one who waits sees them on its own
 * clock: no clock of two machines is ever compared. A lease saves work, no more: when two build the same
 * image after all, both store the same.
 */

import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { LRUCache } from 'lru-cache'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { Failure, messageOf } from '../image/errors.ts'
import type { ObjectStore, VersionedObjects } from '../storage/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import type { Lease, WorkLeases } from './ports.ts'

/** Milliseconds between the versions that an owner writes. */
const defaultInterval = 5000
/**
 * Intervals without a new version after which the owner counts as gone. The margin is for requests that
 * are tried again and for an owner that was held up; none of it is for clocks.
 */
const intervalsOfSilence = 4
/** Milliseconds between looks of one who waits: the first, and the longest. */
const firstLook = 250
const longestLook = 2000
/** Leases of others that are watched at a time. */
const mostWatched = 10_000

export interface LeasesOptions {
  readonly store: ObjectStore
  /** Absent for a storage that only one instance uses at a time. */
  readonly objects?: VersionedObjects | undefined
  /** Name of this instance, for people who look into the storage. */
  readonly instance: string
  readonly log: Log
  /** Milliseconds. @default 5,000 */
  readonly interval?: number
}

/** A lease that this instance has. */
interface Held {
  users: number
  version: string
  readonly content: Buffer
  renewal?: NodeJS.Timeout
  renewing?: Promise<void>
}

export class Leases implements WorkLeases {
  readonly #options: LeasesOptions
  readonly #objects: VersionedObjects | undefined
  readonly #interval: number
  readonly #held = new Map<string, Held>()
  /** Versions of others' leases, and when each was seen first. */
  readonly #watched = new LRUCache<string, { version: string; since: number }>({ max: mostWatched })
  readonly #flights = new SingleFlight<Held | undefined>()
  /** What is being given back. */
  readonly #removing = new Set<Promise<void>>()
  #closed = false

  constructor(options: LeasesOptions) {
    this.#options = options
    this.#objects = options.objects
    this.#interval = options.interval ?? defaultInterval
  }

  /** Whether another instance may be building the same at this moment. */
  get areShared(): boolean {
    return this.#objects !== undefined
  }

  /**
   * What `find` gives as soon as some instance has made it; what `make` gives if it is up to this one.
   * A storage that only one instance uses at a time has no leases: then it is.
   */
  async findOrMake<T>(
    key: string,
    find: () => Promise<T | undefined>,
    make: () => Promise<T>,
  ): Promise<T> {
    if (this.#objects === undefined) return make()
    for (let wait = firstLook; ; wait = Math.min(wait * 1.5, longestLook)) {
      const lease = await this.take(key)
      if (lease !== undefined) {
        try {
          // It may have been made, and the lease given back, since anybody looked.
          return (await find()) ?? (await make())
        } finally {
          // Nobody who waits for the image waits for this; it never fails.
          void lease.release()
        }
      }
      await new Promise((resolve) => setTimeout(resolve, wait))
      // Before another try: a lease that is not needed is two requests.
      const found = await find()
      if (found !== undefined) return found
    }
  }

  /** A lease, also if this instance has it already; undefined while another instance has it. */
  async take(key: string): Promise<Lease | undefined> {
    const objects = this.#objects
    if (objects === undefined) return { release: async () => {} }
    if (this.#closed) throw new Failure('unavailable', 'the service is shutting down')
    const path = `leases/${key}`
    const held =
      this.#held.get(path) ?? (await this.#flights.run(path, () => this.#acquire(objects, path)))
    if (held === undefined) return undefined
    held.users += 1
    let released = false
    return {
      release: async () => {
        if (released) return
        released = true
        held.users -= 1
        if (held.users === 0) await this.#giveBack(objects, path, held)
      },
    }
  }

  /** Lets go of all, as before the end of the process. Never fails. */
  async close(): Promise<void> {
    this.#closed = true
    const objects = this.#objects
    if (objects === undefined) return
    const leases = [...this.#held].map(([path, held]) => this.#giveBack(objects, path, held))
    await Promise.all([...leases, ...this.#removing])
  }

  async #acquire(objects: VersionedObjects, path: string): Promise<Held | undefined> {
    const expected = await this.#replaceable(objects, path)
    if (expected === 'taken') return undefined
    const content = this.#content()
    const version = await this.#write(objects, path, content, expected)
    if (version === undefined) return undefined
    if (expected !== undefined) {
      this.#options.log.warn({ lease: path }, 'took over from an instance that is gone')
    }
    this.#watched.delete(path)
    const held: Held = { users: 0, version, content }
    this.#held.set(path, held)
    this.#renewLater(objects, path, held)
    return held
  }

  /** The version to write in place of, undefined when there is none; `taken` while its owner is alive. */
  async #replaceable(
    objects: VersionedObjects,
    path: string,
  ): Promise<string | undefined | 'taken'> {
    const watched = this.#watched.get(path)
    // Nobody is known to have it: trying is all that it takes to find out.
    if (watched === undefined) return undefined
    const version = await objects.version(path)
    if (version === undefined) return undefined
    if (version !== watched.version) {
      this.#watched.set(path, { version, since: performance.now() })
      return 'taken'
    }
    const silence = performance.now() - watched.since
    return silence > this.#interval * intervalsOfSilence ? version : 'taken'
  }

  /** @returns undefined when another instance was faster */
  async #write(
    objects: VersionedObjects,
    path: string,
    content: Buffer,
    expected: string | undefined,
  ): Promise<string | undefined> {
    const version = await objects.write(path, content, expected)
    if (version !== undefined) return version
    const current = await objects.version(path)
    if (current === undefined) return undefined
    // The answer to a write of ours may have been lost, and the write repeated.
    const stream = await this.#options.store.get(path)
    if (stream !== undefined && (await buffer(stream)).equals(content)) return current
    if (this.#watched.get(path)?.version !== current) {
      this.#watched.set(path, { version: current, since: performance.now() })
    }
    return undefined
  }

  #renewLater(objects: VersionedObjects, path: string, held: Held): void {
    held.renewal = setTimeout(() => {
      held.renewing = this.#renew(objects, path, held)
    }, this.#interval).unref()
  }

  async #renew(objects: VersionedObjects, path: string, held: Held): Promise<void> {
    const { log } = this.#options
    try {
      const version = await this.#write(objects, path, held.content, held.version)
      if (version === undefined) {
        // What it was for goes on: storing it twice does no harm.
        log.warn({ lease: path }, 'another instance took over')
        if (this.#held.get(path) === held) this.#held.delete(path)
        return
      }
      held.version = version
    } catch (error) {
      log.debug({ lease: path, failure: messageOf(error) }, 'a lease could not be renewed')
    }
    if (this.#held.get(path) === held) this.#renewLater(objects, path, held)
  }

  /** Never fails. */
  async #giveBack(objects: VersionedObjects, path: string, held: Held): Promise<void> {
    if (this.#held.get(path) !== held) return
    this.#held.delete(path)
    clearTimeout(held.renewal)
    const removing = this.#remove(objects, path, held)
    this.#removing.add(removing)
    await removing
    this.#removing.delete(removing)
  }

  async #remove(objects: VersionedObjects, path: string, held: Held): Promise<void> {
    await held.renewing
    try {
      await objects.remove(path, held.version)
    } catch (error) {
      // Others wait until it has been silent for long enough.
      this.#options.log.debug({ lease: path, failure: messageOf(error) }, 'a lease stays')
    }
  }

  /** Tells this instance's leases from all others, those of its earlier runs as well. */
  #content(): Buffer {
    const { instance } = this.#options
    return Buffer.from(`${JSON.stringify({ instance, token: randomUUID() })}\n`)
  }
}
