/**
 * Starts the process: compile cache, configuration, listening, composition, signals. It does not lock the
 * state folder: `scripts/start` does.
 */
import { existsSync, mkdirSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { join, resolve } from 'node:path'
import type { Config } from './config/config.ts'

/** Milliseconds that open requests may still take after a signal to stop. */
const gracePeriod = 10_000

async function serve(config: Config): Promise<void> {
  const { composeLog } = await import('./compose/telemetry.ts')
  const { compose } = await import('./compose/service.ts')
  const { listen } = await import('./http/server.ts')
  const { starting } = await import('./http/starting.ts')
  const log = composeLog(config)
  for (const variable of unknownSettings(process.env)) {
    log.warn({ variable }, 'unknown setting ignored: the README lists the settings')
  }

  // The first fetch of a large repository takes minutes. Health checks are answered from the beginning.
  let answer: RequestListener = starting
  const { host, port, tls } = config
  const server = await listen({ host, port, log, ...(tls ? { tls } : {}) }, (request, response) =>
    answer(request, response),
  )
  log.info({ ...server.address, tls: tls !== undefined }, 'listening')

  let stopService = async () => {}
  let stopping = false
  const stop = async (signal: string) => {
    // A second signal ends the process at once.
    if (stopping) process.exit(1)
    stopping = true
    log.info({ signal }, 'stopping')
    await server.close(gracePeriod)
    await stopService()
    log.info({}, 'stopped')
    process.exit(0)
  }
  // Not `once`: a second signal without a listener would kill the process in the middle of stopping.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)

  const service = await compose(config, log)
  stopService = () => service.stop()
  answer = service.app
  log.info({}, 'ready')
  try {
    await service.checkNix()
  } catch (error) {
    // Stopping the service ends the check. `stop` then ends the process.
    if (!stopping) throw error
  }
  flushCompileCache()
}

/**
 * Turns on Node's compile cache, for modules that are imported after this call. It keeps code without its
 * types: a start takes half the time, and the process and each thread that packs layers need 30 MB less.
 */
function keepCompiled(statePath: string): void {
  process.env.NODE_COMPILE_CACHE ??= join(statePath, 'compiled')
  enableCompileCache(process.env.NODE_COMPILE_CACHE)
}

function fail(failure: string): never {
  process.stderr.write(`slipway: ${failure}\n`)
  process.exit(1)
}

process.on('unhandledRejection', (error) => {
  // A bug in one request must not end the others.
  process.stderr.write(`slipway: unhandled rejection: ${String(error)}\n`)
})

// Loading the settings takes long, too, so the compile cache of an earlier start is used before that.
const likelyState = resolve(process.env.SLIPWAY_STATE_PATH || 'var/state')
if (existsSync(join(likelyState, 'compiled'))) keepCompiled(likelyState)
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
