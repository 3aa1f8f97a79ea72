/** Reads the environment into a frozen Config, or reports all wrong settings at once. */
import type { Config } from './config.ts'
import { ConfigError, type SettingFailure } from './config-error.ts'
import { mayHoldSecret, type Settings, settings } from './settings.ts'
import { sourceFailures, sourceOf } from './source-config.ts'
import { storageFailures, storageOf } from './storage-config.ts'
import { tlsFailures, tlsOf } from './tls-config.ts'

/** Milliseconds. */
const day = 86_400_000

/** @throws ConfigError with all failures */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  // Deployment tools write an empty value for "not set".
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const parsed = settings.safeParse(set)
  const failures: SettingFailure[] = (parsed.error?.issues ?? []).map(({ path, message }) => {
    const variable = String(path[0])
    const shown = mayHoldSecret(variable) ? {} : { value: set[variable] ?? '' }
    return { variable, ...shown, message: `must be ${message}` }
  })
  failures.push(...sourceFailures(set), ...tlsFailures(set), ...storageFailures(set))
  if (!parsed.success || failures.length > 0) throw new ConfigError(failures)
  return Object.freeze(configOf(parsed.data))
}

function configOf(values: Settings): Config {
  const tls = tlsOf(values)
  return {
    host: values.SLIPWAY_HOST,
    port: values.PORT,
    ...(tls ? { tls } : {}),
    source: sourceOf(values),
    storage: storageOf(values),
    ...(values.NIX_POPULARITY_URL ? { popularityUrl: values.NIX_POPULARITY_URL } : {}),
    statePath: values.SLIPWAY_STATE_PATH,
    pollInterval: values.SLIPWAY_POLL_INTERVAL,
    builderTimeout: values.NIX_TIMEOUT,
    evaluationTimeout: values.SLIPWAY_EVAL_TIMEOUT,
    buildConcurrency: values.SLIPWAY_BUILD_CONCURRENCY,
    pullWait: values.SLIPWAY_PULL_WAIT,
    ...(values.SLIPWAY_WEBHOOK_SECRET ? { webhookSecret: values.SLIPWAY_WEBHOOK_SECRET } : {}),
    webhookRepositories: values.SLIPWAY_WEBHOOK_REPOSITORY,
    prebuild: {
      tags: values.SLIPWAY_PREBUILD_TAGS,
      ...(values.SLIPWAY_PREBUILD_BRANCHES ? { branches: values.SLIPWAY_PREBUILD_BRANCHES } : {}),
      maxAge: values.SLIPWAY_PREBUILD_MAX_AGE * day,
      popular: values.SLIPWAY_PREBUILD_POPULAR,
      builderTimeout: values.SLIPWAY_PREBUILD_TIMEOUT,
    },
    ...(values.SLIPWAY_PUBLIC_URL ? { publicUrl: values.SLIPWAY_PUBLIC_URL } : {}),
    layerBudget: values.SLIPWAY_LAYER_BUDGET,
    compression: values.SLIPWAY_COMPRESSION,
    logLevel: values.SLIPWAY_LOG_LEVEL,
  }
}
