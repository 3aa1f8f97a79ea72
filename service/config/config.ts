/** The configuration of the service: what `readConfig` makes of the settings. */
import type { Compression } from '../image/keys.ts'
import type { PrebuildScope } from '../prebuild/ports.ts'
import type { SourceConfig } from './source-config.ts'
import type { StorageConfig } from './storage-config.ts'
import type { TlsConfig } from './tls-config.ts'

export interface Config {
  readonly host: string
  readonly port: number
  /** Absent for plain HTTP. */
  readonly tls?: TlsConfig
  readonly source: SourceConfig
  readonly storage: StorageConfig
  /** URL of the popularity data; may hold credentials. */
  readonly popularityUrl?: string
  /** Folder for the git mirror, GC roots and temporary files. */
  readonly statePath: string
  /** Seconds between reconciles without a webhook; 0 turns the timer off. */
  readonly pollInterval: number
  /** Seconds that one Nix builder may run for a pull. */
  readonly builderTimeout: number
  /** Seconds that one evaluation may run. */
  readonly evaluationTimeout: number
  /** Most Nix builders at a time. */
  readonly buildConcurrency: number
  /** Seconds that a pull waits for a build. */
  readonly pullWait: number
  /** Absent if webhooks are off. */
  readonly webhookSecret?: string
  /** Additional URLs that webhooks may use for the tracked repository. */
  readonly webhookRepositories: readonly string[]
  readonly prebuild: PrebuildSettings
  /** URL under which clients reach the service. */
  readonly publicUrl?: URL
  /** Most layers in an image. */
  readonly layerBudget: number
  readonly compression: Compression
  readonly logLevel: LogLevel
}

export interface PrebuildSettings extends PrebuildScope {
  /** Number of the most pulled images that are prebuilt besides the declared ones. */
  readonly popular: number
  /** Seconds that one Nix builder may run for a prebuild. */
  readonly builderTimeout: number
}

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]
