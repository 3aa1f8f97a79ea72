/** Settings: the environment in, a frozen Config out. Every mistake is reported, not only the first. */

import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import type { Compression } from '../image/keys.ts'
import { isPopularityUrl } from '../layering/popularity.ts'
import type { PrebuildScope } from '../prebuild/ports.ts'
import { isChannelName } from '../source/channel-name.ts'
import { normaliseRepositoryUrl } from '../source/repository-url.ts'
import { parseGlobList } from '../text/globs.ts'
import { ConfigError, type Mistake } from './config-error.ts'
import { gcsSettings, type StorageConfig, storageOf } from './storage-config.ts'
import {
  absolute,
  globList,
  isReadableFile,
  oneOf,
  readableFile,
  seconds,
  template,
  whole,
} from './values.ts'

export interface Config {
  readonly host: string
  readonly port: number
  /** HTTPS by the service itself; absent for plain HTTP. */
  readonly tls?: TlsConfig
  readonly source: SourceConfig
  readonly storage: StorageConfig
  /** Where package popularity is read; may hold credentials. */
  readonly popularityUrl?: string
  /** Folder for the git mirror, GC roots and temporary files. */
  readonly statePath: string
  /** Seconds between looks at the source; 0 turns the timer off. */
  readonly pollInterval: number
  /** Seconds that one Nix builder may run for a pull. */
  readonly builderTimeout: number
  /** Seconds that one evaluation may run. */
  readonly evaluationTimeout: number
  /** Nix builders at a time. */
  readonly buildConcurrency: number
  /** Seconds that a pull waits for a build. */
  readonly pullWait: number
  /** Absent: there are no webhooks. */
  readonly webhookSecret?: string
  /** Further URLs under which webhooks may name the tracked repository. */
  readonly webhookRepositories: readonly string[]
  readonly prebuild: PrebuildSettings
  /** How clients reach the service. */
  readonly publicUrl?: URL
  readonly layerBudget: number
  readonly compression: Compression
  readonly logLevel: (typeof logLevels)[number]
}

export type SourceConfig =
  /** Anything that `git fetch` takes. May hold credentials: never show it unscrubbed. */
  | { readonly kind: 'git'; readonly url: string }
  /** Absolute, with a `default.nix`. */
  | { readonly kind: 'path'; readonly folder: string }
  | ChannelConfig

/** A channel of nixpkgs. The addresses are templates and may hold credentials. */
export interface ChannelConfig {
  readonly kind: 'channel'
  readonly channel: string
  /** Tells the commit of `{channel}`. */
  readonly channelUrl: string
  /** The tree of `{commit}` as a tarball. */
  readonly tarballUrl: string
  /** Tells whether `{commit}` is in the history of `{branch}`; absent to trust every commit. */
  readonly compareUrl?: string
}

export interface PrebuildSettings extends PrebuildScope {
  /** How many of the most pulled images are prebuilt besides the declared ones. */
  readonly popular: number
  /** Seconds that one Nix builder may run for a prebuild. */
  readonly builderTimeout: number
}

/** PEM files. */
export interface TlsConfig {
  readonly certificatePath: string
  readonly keyPath: string
}

/** Milliseconds. */
const day = 86_400_000

const logLevels = ['debug', 'info', 'warn', 'error'] as const

/** Layers that every known client and runtime mounts: overlayfs takes 128, some leave room for less. */
const mostLayers = 127

const settings = z.object({
  PORT: whole('a port number from 0 to 65535 (0 takes a free one)', 0, 65_535).default(8080),
  NIX_TIMEOUT: seconds().default(60),
  NIXERY_STORAGE_BACKEND: oneOf('filesystem', 'gcs').default('filesystem'),
  STORAGE_PATH: absolute.default(() => resolve('var/storage')),
  ...gcsSettings,
  SLIPWAY_HOST: z.string().default('127.0.0.1'),
  SLIPWAY_STATE_PATH: absolute.default(() => resolve('var/state')),
  SLIPWAY_POLL_INTERVAL: seconds(0).default(60),
  SLIPWAY_EVAL_TIMEOUT: seconds().default(120),
  SLIPWAY_BUILD_CONCURRENCY: whole('a whole number from 1 to 1024', 1, 1024).default(() =>
    availableParallelism(),
  ),
  SLIPWAY_PULL_WAIT: seconds().default(300),
  SLIPWAY_LAYER_BUDGET: whole(
    `a whole number from 2 to ${mostLayers}: one layer for the root and at least one for packages`,
    2,
    mostLayers,
  ).default(94),
  SLIPWAY_COMPRESSION: oneOf('gzip', 'zstd', 'none').default('gzip'),
  SLIPWAY_LOG_LEVEL: oneOf(...logLevels).default('info'),
  SLIPWAY_TLS_CERT: readableFile.optional(),
  SLIPWAY_TLS_KEY: readableFile.optional(),
  NIXERY_PKGS_REPO: z.string().optional(),
  NIXERY_CHANNEL: z
    .string()
    .refine(
      isChannelName,
      'the name of a nixpkgs channel such as nixos-24.11: letters, digits, ".", "_" and "-"',
    )
    .optional(),
  SLIPWAY_CHANNEL_URL: template('channel').default(
    'https://channels.nixos.org/{channel}/git-revision',
  ),
  SLIPWAY_NIXPKGS_URL: template('commit').default(
    'https://github.com/NixOS/nixpkgs/archive/{commit}.tar.gz',
  ),
  SLIPWAY_NIXPKGS_COMPARE_URL: z
    .union([z.literal('none'), template('branch', 'commit')], {
      error: 'an http(s) URL that holds {branch} and {commit}, or none',
    })
    .default('https://api.github.com/repos/NixOS/nixpkgs/compare/{branch}...{commit}?per_page=1'),
  SLIPWAY_WEBHOOK_SECRET: z
    .string()
    .refine(
      (text) => text === text.trim(),
      'without white space at its ends (a line end from a file?)',
    )
    .optional(),
  SLIPWAY_WEBHOOK_REPOSITORY: z
    .string()
    .default('')
    .transform((text) => text.split(/[\s,]+/).filter((url) => url !== ''))
    .refine(
      (urls) => urls.every((url) => normaliseRepositoryUrl(url) !== ''),
      'clone URLs of the tracked repository, separated by spaces',
    ),
  SLIPWAY_PUBLIC_URL: z
    .string()
    .refine((text) => /^https?:/i.test(text) && URL.canParse(text), 'an http(s) URL')
    .transform((text) => new URL(text))
    .optional(),
  SLIPWAY_PREBUILD_TAGS: globList(
    'globs of tag names with commas or spaces between them, such as release-*, or none',
  ).default(() => parseGlobList('*')),
  SLIPWAY_PREBUILD_BRANCHES: globList(
    'globs of branch names with commas or spaces between them, such as main release/*, or none',
  ).optional(),
  SLIPWAY_PREBUILD_MAX_AGE: whole('a whole number of days from 0 to 36500', 0, 36_500).default(30),
  SLIPWAY_PREBUILD_POPULAR: whole('a whole number from 0 to 1000', 0, 1000).default(20),
  SLIPWAY_PREBUILD_TIMEOUT: seconds().default(3600),
  NIX_POPULARITY_URL: z
    .string()
    .refine(isPopularityUrl, 'an https: or file: URL (http: only to this machine)')
    .optional(),
  NIXERY_PKGS_PATH: absolute
    .refine(
      (path) => isReadableFile(join(path, 'default.nix')),
      'a folder with a default.nix in it',
    )
    .optional(),
})
type Settings = z.infer<typeof settings>

/** Settings whose value is shown to nobody: a URL may hold credentials. */
const mayHoldSecret = /_URL$|_REPO$|_REPOSITORY$|_SECRET$|_TOKEN$/

const sources = {
  NIXERY_PKGS_REPO: 'the URL of a git repository with the package set',
  NIXERY_PKGS_PATH: 'a local folder with the package set',
  NIXERY_CHANNEL: 'a channel of nixpkgs',
}

/** @throws ConfigError with every mistake */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  // An empty value is how deployment tools say "not set".
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const parsed = settings.safeParse(set)
  const mistakes: Mistake[] = (parsed.error?.issues ?? []).map(({ path, message }) => {
    const variable = String(path[0])
    const value = set[variable] ?? ''
    return { variable, expected: message, ...(mayHoldSecret.test(variable) ? {} : { value }) }
  })
  mistakes.push(...sourceMistakes(set), ...tlsMistakes(set), ...bucketMistakes(set))
  if (!parsed.success || mistakes.length > 0) throw new ConfigError(mistakes)
  const values = parsed.data
  const config: Config = {
    host: values.SLIPWAY_HOST,
    port: values.PORT,
    ...tlsOf(values),
    source: sourceOf(values),
    ...(values.NIX_POPULARITY_URL ? { popularityUrl: values.NIX_POPULARITY_URL } : {}),
    storage: storageOf(values.NIXERY_STORAGE_BACKEND, values.STORAGE_PATH, values),
    statePath: values.SLIPWAY_STATE_PATH,
    pollInterval: values.SLIPWAY_POLL_INTERVAL,
    builderTimeout: values.NIX_TIMEOUT,
    evaluationTimeout: values.SLIPWAY_EVAL_TIMEOUT,
    buildConcurrency: values.SLIPWAY_BUILD_CONCURRENCY,
    pullWait: values.SLIPWAY_PULL_WAIT,
    ...(values.SLIPWAY_WEBHOOK_SECRET ? { webhookSecret: values.SLIPWAY_WEBHOOK_SECRET } : {}),
    webhookRepositories: values.SLIPWAY_WEBHOOK_REPOSITORY,
    ...(values.SLIPWAY_PUBLIC_URL ? { publicUrl: values.SLIPWAY_PUBLIC_URL } : {}),
    prebuild: {
      tags: values.SLIPWAY_PREBUILD_TAGS,
      ...(values.SLIPWAY_PREBUILD_BRANCHES ? { branches: values.SLIPWAY_PREBUILD_BRANCHES } : {}),
      maxAge: values.SLIPWAY_PREBUILD_MAX_AGE * day,
      popular: values.SLIPWAY_PREBUILD_POPULAR,
      builderTimeout: values.SLIPWAY_PREBUILD_TIMEOUT,
    },
    layerBudget: values.SLIPWAY_LAYER_BUDGET,
    compression: values.SLIPWAY_COMPRESSION,
    logLevel: values.SLIPWAY_LOG_LEVEL,
  }
  return Object.freeze(config)
}

/** Names that begin like Slipway's settings but are none: most likely misspelt. */
export function unknownSettings(environment: NodeJS.ProcessEnv): string[] {
  return Object.keys(environment).filter(
    (name) => name.startsWith('SLIPWAY_') && !(name in settings.shape),
  )
}

function sourceMistakes(set: NodeJS.ProcessEnv): Mistake[] {
  const named = Object.keys(sources).filter((variable) => set[variable] !== undefined)
  const choices = Object.entries(sources)
    .map(([variable, meaning]) => `${variable} (${meaning})`)
    .join(', ')
  if (named.length === 0) {
    return [{ variable: 'no source', expected: `set one of: ${choices}` }]
  }
  if (named.length > 1) {
    return [{ variable: named.join(' and '), expected: `are set; set exactly one of: ${choices}` }]
  }
  return []
}

function sourceOf(values: Settings): SourceConfig {
  const { NIXERY_CHANNEL: channel, NIXERY_PKGS_PATH: folder, NIXERY_PKGS_REPO: url = '' } = values
  if (folder !== undefined) return { kind: 'path', folder }
  if (channel === undefined) return { kind: 'git', url }
  const compareUrl = values.SLIPWAY_NIXPKGS_COMPARE_URL
  return {
    kind: 'channel',
    channel,
    channelUrl: values.SLIPWAY_CHANNEL_URL,
    tarballUrl: values.SLIPWAY_NIXPKGS_URL,
    ...(compareUrl === 'none' ? {} : { compareUrl }),
  }
}

function tlsOf(values: Settings): { tls?: TlsConfig } {
  const { SLIPWAY_TLS_CERT: certificatePath, SLIPWAY_TLS_KEY: keyPath } = values
  return certificatePath && keyPath ? { tls: { certificatePath, keyPath } } : {}
}

function tlsMistakes(set: NodeJS.ProcessEnv): Mistake[] {
  const names = ['SLIPWAY_TLS_CERT', 'SLIPWAY_TLS_KEY']
  const unset = names.filter((name) => set[name] === undefined)
  if (unset.length !== 1) return []
  const expected = `is not set, but the other one is: ${names.join(' and ')} go together`
  return unset.map((variable) => ({ variable, expected }))
}

function bucketMistakes(set: NodeJS.ProcessEnv): Mistake[] {
  if (set.NIXERY_STORAGE_BACKEND !== 'gcs') return []
  const mistakes: Mistake[] = []
  if (set.GCS_BUCKET === undefined) {
    const expected = 'is not set: NIXERY_STORAGE_BACKEND=gcs needs the name of a bucket'
    mistakes.push({ variable: 'GCS_BUCKET', expected })
  }
  const { GOOGLE_APPLICATION_CREDENTIALS: value } = set
  if (value !== undefined && !isReadableFile(value)) {
    const expected = 'a file that can be read'
    mistakes.push({ variable: 'GOOGLE_APPLICATION_CREDENTIALS', value, expected })
  }
  return mistakes
}
