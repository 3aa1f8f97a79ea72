/**
 * Leases: one of the instances that share a storage builds an image, and the others wait for it.
 *
 *     instance A                 leases/<image key>                instance B
 *     writes the lease ────────► version 1
 *                                     ◄────────────────────────── write fails, remembers version 1
 *     renews it ───────────────► version 2                         sees version 2: A is alive
 *     is killed                                                    sees version 2 for too long
 *                                version 3 ◄────────────────────── replaces version 2, and builds
 *
 * A waiting instance decides by its own clock whether an owner is alive: it measures how long the version
 * stays the same. Clocks of two machines are never compared. A lease only saves work: if two instances build
 * the same image after all, both store the same bytes.
 */

import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { SingleFlight } from '../concurrency/single-flight.ts'
import { Failure, messageOf } from '../image/errors.ts'
import type { ObjectStore, VersionedObjects } from '../storage/ports.ts'
import { readObject } from '../storage/read-object.ts'
import type { Log } from '../telemetry/ports.ts'
import type { Lease, WorkLeases } from './ports.ts'

/** Milliseconds between two renewals. */
const defaultInterval = 5000
/**
 * Intervals without a new version after which an owner counts as dead. Retried requests and a slow owner need
 * more than one. Clocks need no margin, because clocks of two machines are never compared.
 */
const silentIntervals = 4
/** Milliseconds between two checks of a waiting instance: the shortest time, and the longest. */
const firstDelay = 250
const longestDelay = 2000
/** Leases of other instances whose version is remembered. */
const mostWatched = 10_000

export interface LeasesOptions {
  readonly store: ObjectStore
  /** Absent if only one instance uses the storage. */
  readonly objects?: VersionedObjects | undefined
  /** Name of this instance, for people who look at a lease in the storage. */
  readonly instance: string
  readonly log: Log
  /** Milliseconds between two renewals. @default 5,000 */
  readonly interval?: number
}

/** A lease that this instance owns. */
interface OwnLease {
  users: number
  version: string
  readonly content: Buffer
  timer?: NodeJS.Timeout
  renewal?: Promise<void>
}

export class Leases implements WorkLeases {
  readonly #options: LeasesOptions
  readonly #objects: VersionedObjects | undefined
  readonly #interval: number
  readonly #own = new Map<string, OwnLease>()
  /** Versions of the leases of other instances, and the time when each was seen first. */
  readonly #watched = new LRUCache<string, { version: string; since: number }>({ max: mostWatched })
  readonly #flights = new SingleFlight<OwnLease | undefined>()
  /** Deletions that are still running. */
  readonly #removals = new Set<Promise<void>>()
  #isClosed = false

  constructor(options: LeasesOptions) {
    this.#options = options
    this.#objects = options.objects
    this.#interval = options.interval ?? defaultInterval
  }

  get areShared(): boolean {
    return this.#objects !== undefined
  }

  async findOrMake<T>(
    key: string,
    find: () => Promise<T | undefined>,
    make: () => Promise<T>,
  ): Promise<T> {
    if (this.#objects === undefined) return make()
    for (let delay = firstDelay; ; delay = Math.min(delay * 1.5, longestDelay)) {
      const lease = await this.take(key)
      if (lease !== undefined) {
        try {
          // Another instance may have done the work and released the lease since the last check.
          return (await find()) ?? (await make())
        } finally {
          // Not awaited: the caller needs the image, not the end of the lease.
          void lease.release()
        }
      }
      await new Promise((resolve) => setTimeout(resolve, delay))
      // Checks the result before the lease, because taking a lease needs two requests.
      const found = await find()
      if (found !== undefined) return found
    }
  }

  async take(key: string): Promise<Lease | undefined> {
    const objects = this.#objects
    if (objects === undefined) return { release: async () => {} }
    if (this.#isClosed) throw new Failure('unavailable', 'the service is shutting down')
    const path = `leases/${key}`
    const own =
      this.#own.get(path) ?? (await this.#flights.run(path, () => this.#acquire(objects, path)))
    if (own === undefined) return undefined
    own.users += 1
    let isReleased = false
    return {
      release: async () => {
        if (isReleased) return
        isReleased = true
        own.users -= 1
        if (own.users === 0) await this.#giveBack(objects, path, own)
      },
    }
  }

  /** Gives all leases back before the process ends. Never fails. */
  async close(): Promise<void> {
    this.#isClosed = true
    const objects = this.#objects
    if (objects === undefined) return
    const leases = [...this.#own].map(([path, own]) => this.#giveBack(objects, path, own))
    await Promise.all([...leases, ...this.#removals])
  }

  async #acquire(objects: VersionedObjects, path: string): Promise<OwnLease | undefined> {
    const expected = await this.#replaceableVersion(objects, path)
    if (expected === 'taken') return undefined
    const content = this.#newContent()
    const version = await this.#write(objects, path, content, expected)
    if (version === undefined) return undefined
    if (expected !== undefined) {
      this.#options.log.warn({ lease: path }, 'took over the lease of a dead instance')
    }
    this.#watched.delete(path)
    const own: OwnLease = { users: 0, version, content }
    this.#own.set(path, own)
    this.#scheduleRenewal(objects, path, own)
    return own
  }

  /**
   * Returns the version that this instance may replace, or undefined if the lease must not exist.
   * @returns `taken` while the owner of the lease is alive
   */
  async #replaceableVersion(
    objects: VersionedObjects,
    path: string,
  ): Promise<string | undefined | 'taken'> {
    const watched = this.#watched.get(path)
    // No owner is known. Writing the lease shows at once whether there is one.
    if (watched === undefined) return undefined
    const version = await objects.version(path)
    if (version === undefined) return undefined
    if (version !== watched.version) {
      this.#watched.set(path, { version, since: performance.now() })
      return 'taken'
    }
    const silence = performance.now() - watched.since
    return silence > this.#interval * silentIntervals ? version : 'taken'
  }

  /** @returns the new version, or undefined if another instance wrote the lease first */
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
    // If the response to this write was lost, its retry has failed, and the lease has this content.
    const stream = await this.#options.store.get(path)
    if (stream !== undefined && (await readObject(stream)).equals(content)) return current
    if (this.#watched.get(path)?.version !== current) {
      this.#watched.set(path, { version: current, since: performance.now() })
    }
    return undefined
  }

  #scheduleRenewal(objects: VersionedObjects, path: string, own: OwnLease): void {
    own.timer = setTimeout(() => {
      own.renewal = this.#renew(objects, path, own)
    }, this.#interval).unref()
  }

  async #renew(objects: VersionedObjects, path: string, own: OwnLease): Promise<void> {
    const { log } = this.#options
    try {
      const version = await this.#write(objects, path, own.content, own.version)
      if (version === undefined) {
        // The work goes on: storing the same image twice does no harm.
        log.warn({ lease: path }, 'another instance took over a lease of this instance')
        if (this.#own.get(path) === own) this.#own.delete(path)
        return
      }
      own.version = version
    } catch (error) {
      log.debug({ lease: path, failure: messageOf(error) }, 'cannot renew a lease')
    }
    if (this.#own.get(path) === own) this.#scheduleRenewal(objects, path, own)
  }

  /** Never fails. */
  async #giveBack(objects: VersionedObjects, path: string, own: OwnLease): Promise<void> {
    if (this.#own.get(path) !== own) return
    this.#own.delete(path)
    clearTimeout(own.timer)
    const removal = this.#remove(objects, path, own)
    this.#removals.add(removal)
    await removal
    this.#removals.delete(removal)
  }

  async #remove(objects: VersionedObjects, path: string, own: OwnLease): Promise<void> {
    await own.renewal
    try {
      await objects.remove(path, own.version)
    } catch (error) {
      // Other instances then wait until the owner of the lease counts as dead.
      this.#options.log.debug({ lease: path, failure: messageOf(error) }, 'cannot delete a lease')
    }
  }

  /** Returns content that no other lease has, including the leases of earlier runs. */
  #newContent(): Buffer {
    const { instance } = this.#options
    return Buffer.from(`${JSON.stringify({ instance, token: randomUUID() })}\n`)
  }
}
