/** All settings: name, type, default and the message for a wrong value. */
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import { isPopularityUrl } from '../layering/popularity.ts'
import { normaliseRepositoryUrl } from '../source/repository-url.ts'
import { parseGlobList } from '../text/globs.ts'
import { logLevels } from './config.ts'
import { absolutePath, globList, httpUrl, oneOf, seconds, wholeNumber } from './setting-types.ts'
import { sourceSettings } from './source-config.ts'
import { storageSettings } from './storage-config.ts'
import { tlsSettings } from './tls-config.ts'

/** Most layers that every known client and runtime mounts. overlayfs allows 128, but some clients allow fewer. */
const maxLayers = 127

export const settings = z.object({
  PORT: wholeNumber('a port number from 0 to 65535 (0 chooses a free one)', 0, 65_535).default(
    8080,
  ),
  SLIPWAY_HOST: z.string().default('127.0.0.1'),
  ...tlsSettings,
  SLIPWAY_PUBLIC_URL: httpUrl.optional(),
  SLIPWAY_LOG_LEVEL: oneOf(...logLevels).default('info'),

  ...sourceSettings,
  SLIPWAY_POLL_INTERVAL: seconds(0).default(60),
  SLIPWAY_WEBHOOK_SECRET: z
    .string()
    .refine(
      (text) => text === text.trim(),
      'without white space at its beginning and end (a line break from a file?)',
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

  ...storageSettings,
  SLIPWAY_STATE_PATH: absolutePath.default(() => resolve('var/state')),

  NIX_TIMEOUT: seconds().default(60),
  SLIPWAY_EVAL_TIMEOUT: seconds().default(120),
  SLIPWAY_BUILD_CONCURRENCY: wholeNumber('a whole number from 1 to 1024', 1, 1024).default(() =>
    availableParallelism(),
  ),
  SLIPWAY_PULL_WAIT: seconds().default(300),

  SLIPWAY_LAYER_BUDGET: wholeNumber(
    `a whole number from 2 to ${maxLayers}: one layer for the root and at least one for packages`,
    2,
    maxLayers,
  ).default(94),
  SLIPWAY_COMPRESSION: oneOf('gzip', 'zstd', 'none').default('gzip'),
  NIX_POPULARITY_URL: z
    .string()
    .refine(isPopularityUrl, 'an https: or file: URL (http: only to this machine)')
    .optional(),

  SLIPWAY_PREBUILD_TAGS: globList(
    'globs of tag names with commas or spaces between them, such as release-*, or none',
  ).default(() => parseGlobList('*')),
  SLIPWAY_PREBUILD_BRANCHES: globList(
    'globs of branch names with commas or spaces between them, such as main release/*, or none',
  ).optional(),
  /** Days. */
  SLIPWAY_PREBUILD_MAX_AGE: wholeNumber(
    'a whole number of days from 0 to 36500',
    0,
    36_500,
  ).default(30),
  SLIPWAY_PREBUILD_POPULAR: wholeNumber('a whole number from 0 to 1000', 0, 1000).default(20),
  SLIPWAY_PREBUILD_TIMEOUT: seconds().default(3600),
})
export type Settings = z.infer<typeof settings>

/** Returns whether messages must not show the value of a setting: it is a secret, or a URL with credentials. */
export function mayHoldSecret(variable: string): boolean {
  return /_URL$|_REPO$|_REPOSITORY$|_SECRET$|_TOKEN$/.test(variable)
}

/** Returns names in the environment that begin like Slipway's settings but are none: probably misspelt. */
export function unknownSettings(environment: NodeJS.ProcessEnv): string[] {
  return Object.keys(environment).filter(
    (name) => name.startsWith('SLIPWAY_') && !(name in settings.shape),
  )
}
