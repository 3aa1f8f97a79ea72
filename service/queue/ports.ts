/** Interfaces of the queue room: work that several instances share. */

export interface Lease {
  /** Gives the lease back. Never fails. */
  release(): Promise<void>
}

/** Leases on keys: one of the instances that share a storage does the work of a key. */
export interface WorkLeases {
  /** True if other instances may do the same work at the same time. */
  readonly areShared: boolean
  /**
   * Takes a lease. Succeeds if this instance has the lease already.
   * @returns undefined while another instance has the lease
   * @throws Failure unavailable
   */
  take(key: string): Promise<Lease | undefined>
  /**
   * Returns the result of `find` as soon as another instance has done the work, or the result of `make` if
   * this instance gets the lease. Without a shared storage, calls `make` at once.
   * @throws Failure unavailable, and every error of `find` and `make`
   */
  findOrMake<T>(key: string, find: () => Promise<T | undefined>, make: () => Promise<T>): Promise<T>
}
