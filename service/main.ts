/** The process: configuration, compile cache, listen, compose, signals. */
import { existsSync, mkdirSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { join, resolve } from 'node:path'
import type { Config } from './config/config.ts'

/** Milliseconds that requests under way may take after a signal to stop. */
const gracePeriod = 10_000

async function serve(config: Config): Promise<void> {
  const { composeLog } = await import('./compose/telemetry.ts')
  const { compose } = await import('./compose/service.ts')
  const { listen } = await import('./http/server.ts')
  const { starting } = await import('./http/starting.ts')
  const log = composeLog(config)
  for (const variable of unknownSettings(process.env)) {
    log.warn({ variable }, 'ignoring a setting that does not exist: the README has those that do')
  }

  // The first fetch of a large repository takes minutes: until then health checks find us alive.
  let answer: RequestListener = starting
  const { host, port, tls } = config
  const server = await listen({ host, port, log, ...(tls ? { tls } : {}) }, (request, response) =>
    answer(request, response),
  )
  log.info({ ...server.address, tls: tls !== undefined }, 'listening')

  let stopService = async () => {}
  let stopping = false
  const stop = async (signal: string) => {
    // Whoever asks twice does not want to wait.
    if (stopping) process.exit(1)
    stopping = true
    log.info({ signal }, 'stopping')
    await server.close(gracePeriod)
    await stopService()
    log.info({}, 'stopped')
    process.exit(0)
  }
  // Not `once`: a signal without a listener would end the process in the middle of stopping.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)

  const service = await compose(config, log, nix)
  stopService = () => service.stop()
  answer = service.app
  log.info({}, 'ready')
  flushCompileCache()
}

/**
 * Code whose types were stripped once starts in half the time and needs 30 MB less, in each thread
 * that packs layers again. It works for what is imported from here on.
 */
function keepCompiled(statePath: string): void {
  process.env.NODE_COMPILE_CACHE ??= join(statePath, 'compiled')
  enableCompileCache(process.env.NODE_COMPILE_CACHE)
}

function fail(reason: string): never {
  process.stderr.write(`slipway: ${reason}\n`)
  process.exit(1)
}

process.on('unhandledRejection', (error) => {
  // A bug, but of one request: the others go on.
  process.stderr.write(`slipway: unhandled rejection: ${String(error)}\n`)
})

/** What Slipway has run with before can be trusted before all settings are read, which takes long by itself. */
const likelyState = resolve(process.env.SLIPWAY_STATE_PATH || 'var/state')
if (existsSync(join(likelyState, 'compiled'))) keepCompiled(likelyState)
const { findNix } = await import('./compose/nix.ts')
const nix = findNix()
const { readConfig } = await import('./config/read-config.ts')
const { unknownSettings } = await import('./config/settings.ts')
const { ConfigError } = await import('./config/config-error.ts')

try {
  const config = readConfig(process.env)
  mkdirSync(config.statePath, { recursive: true, mode: 0o700 })
  keepCompiled(config.statePath)
  await serve(config)
} catch (error) {
  const settings = error instanceof ConfigError ? 'these settings are wrong:\n' : ''
  fail(settings + (error instanceof Error ? error.message : String(error)))
}
