/** The parts of the emulator that its endpoints share. */
import type { Permission } from './access.ts'
import type { Bucket } from './bucket.ts'
import type { Faults } from './faults.ts'
import type { Ledger } from './ledger.ts'
import type { ServiceAccount } from './service-account.ts'
import type { Sessions } from './sessions.ts'
import type { Tokens } from './tokens.ts'

/** What a test may change at any time. */
export interface Settings {
  /** Anybody may read objects by the XML API, without a signature. */
  publicRead: boolean
  /** Calls of the JSON API need a token. */
  requireAuthorization: boolean
  /** Of the caller who is not anonymous. */
  readonly permissions: Set<Permission>
  /** Most objects in one answer to a list. */
  pageSize: number
  /** Milliseconds that the service's clock is ahead. */
  clock: number
}

/**
 * Which checksums are computed while content arrives: both; CRC32C alone (objects then look like composite
 * ones, without an MD5); or only those that came with it. The last is for measuring: an upload is answered
 * without those that were not sent, so a client that verifies by itself must not be set against it.
 */
export type Checksumming = 'both' | 'crc32c' | 'asked'

export interface Service {
  readonly url: string
  readonly bucket: Bucket
  readonly sessions: Sessions
  readonly faults: Faults
  readonly ledger: Ledger
  readonly account: ServiceAccount
  readonly tokens: Tokens
  readonly settings: Settings
  readonly checksumming: Checksumming
  /** The service's time, milliseconds since the epoch. */
  now(): number
}
