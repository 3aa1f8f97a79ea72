/** The process: compile cache, configuration, compose, listen, signals. */
import { createServer } from 'node:http'
import { enableCompileCache, flushCompileCache } from 'node:module'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { promisify } from 'node:util'

/** Milliseconds that requests under way may take after a signal to stop. */
const gracePeriod = 10_000

/** Milliseconds that an idle connection is kept: longer than proxies keep theirs, so that they close. */
const keepAlive = 75_000

// Code whose types were stripped once starts in half the time and needs 30 MB less, in each thread
// that packs layers again: so everything else is imported below, once the cache is on.
process.env.NODE_COMPILE_CACHE ??= resolve(
  process.env.SLIPWAY_STATE_PATH || 'var/state',
  'compiled',
)
enableCompileCache(process.env.NODE_COMPILE_CACHE)
const { readConfig, unknownSettings } = await import('./config.ts')
const { compose, composeLog } = await import('./compose.ts')

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
  const server = createServer({ keepAliveTimeout: keepAlive }, service.app.callback())
  let stopping = false
  const stop = async (signal: string) => {
    // Whoever asks twice does not want to wait.
    if (stopping) process.exit(1)
    stopping = true
    log.info({ signal }, 'stopping')
    const closed = promisify(server.close.bind(server))()
    server.closeIdleConnections()
    const deadline = setTimeout(() => server.closeAllConnections(), gracePeriod)
    await closed
    clearTimeout(deadline)
    await service.stop()
    log.info({}, 'stopped')
    process.exit(0)
  }
  // Not `once`: a signal without a listener would end the process in the middle of stopping.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop)
  server.on('error', (error) => fail(`cannot listen: ${error.message}`))
  server.listen(config.port, config.host, () => {
    const { address, port } = server.address() as AddressInfo
    log.info({ address, port }, 'listening')
    flushCompileCache()
  })
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
