/** What the queue room offers to other rooms: work that several instances share. */

export interface Lease {
  release(): Promise<void>
}

/** Leases on keys: of several instances that share a storage, one does the work of a key. */
export interface WorkLeases {
  /** Whether another instance may be doing the same work at this moment. */
  readonly areShared: boolean
  /** Takes a lease, also if this instance has it already; undefined while another instance has it. */
  take(key: string): Promise<Lease | undefined>
  /**
   * Returns what `find` gives as soon as some instance has made it, or what `make` gives if this
   * instance is the one to make it.
   */
  findOrMake<T>(key: string, find: () => Promise<T | undefined>, make: () => Promise<T>): Promise<T>
}
