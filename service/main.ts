/** The process: compile cache, configuration, compose, listen, signals. */
import { enableCompileCache, flushCompileCache } from 'node:module'
import { resolve } from 'node:path'

/** Milliseconds that requests under way may take after a signal to stop. */
const gracePeriod = 10_000

// Code whose types were stripped once starts in half the time and needs 30 MB less, in each thread
// that packs layers again: so everything else is imported below, once the cache is on.
process.env.NODE_COMPILE_CACHE ??= resolve(
  process.env.SLIPWAY_STATE_PATH || 'var/state',
  'compiled',
)
enableCompileCache(process.env.NODE_COMPILE_CACHE)
const { readConfig, unknownSettings } = await import('./config.ts')
const { compose, composeLog } = await import('./compose.ts')
const { listen } = await import('./http/server.ts')

async function serve(): Promise<void> {
  const config = readConfig(process.env)
  const log = composeLog(config)
  for (const variable of unknownSettings(process.env)) {
    log.warn(
      { variable },
      'ignoring a setting that does not exist: see the README for those that do',
    )
  }
  const service = await compose(config, log)
  const { host, port, tls } = config
  const handler = service.app.callback()
  const server = await listen({ host, port, log, ...(tls ? { tls } : {}) }, handler)
  log.info({ ...server.address, tls: tls !== undefined }, 'listening')
  flushCompileCache()

  let stopping = false
  const stop = async (signal: string) => {
    // Whoever asks twice does not want to wait.
    if (stopping) process.exit(1)
    stopping = true
    log.info({ signal }, 'stopping')
    await server.close(gracePeriod)
    await service.stop()
    log.info({}, 'stopped')
    process.exit(0)
  }
  // Not `once`: a signal without a listener would end the process in the middle of stopping.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
}

function fail(reason: string): never {
  process.stderr.write(`slipway: ${reason}\n`)
  process.exit(1)
}

process.on('unhandledRejection', (error) => {
  // A bug, but of one request: the others go on.
  process.stderr.write(`slipway: unhandled rejection: ${String(error)}\n`)
})

serve().catch((error: Error) => {
  const settings = error.name === 'ConfigError' ? 'these settings are wrong:\n' : ''
  fail(settings + error.message)
})
