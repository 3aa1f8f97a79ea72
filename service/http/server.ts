/** The listening socket: HTTP, or HTTPS with certificate files that may be renewed at any time. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSecureContext } from 'node:tls'
import { promisify } from 'node:util'
import { messageOf } from '../image/errors.ts'
import type { Log } from '../telemetry/ports.ts'

/** Not by `import`: that reads all that is exported, WebSocket among it, and so loads undici, for 50 ms. */
const http = process.getBuiltinModule('node:http')
const https = process.getBuiltinModule('node:https')

/** Milliseconds that an idle connection is kept: longer than proxies keep theirs, so that they close. */
const keepAliveTimeout = 75_000

/** Milliseconds between looks for idle connections while the server is closing. */
const sweepInterval = 50

/** Milliseconds between looks at the certificate files: a look is two calls of stat. */
const certificateInterval = 5000

/** PEM files. */
export interface TlsFiles {
  readonly certificatePath: string
  readonly keyPath: string
}

export interface ListenOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly tls?: TlsFiles
  readonly log: Log
}

export interface Listening {
  readonly address: AddressInfo
  /** Takes no more connections, and cuts those that are not done after the grace period (ms). */
  close(gracePeriod: number): Promise<void>
}

/** @throws Error when the port cannot be had, or the certificate and key do not fit */
export async function listen(
  { host, port, tls, log }: ListenOptions,
  handler: RequestListener,
): Promise<Listening> {
  const server = tls
    ? tlsServer(tls, handler, log)
    : http.createServer({ keepAliveTimeout }, handler)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  server.on('error', (error) => log.error({ failure: error.message }, 'cannot take a connection'))
  return {
    address: server.address() as AddressInfo,
    async close(gracePeriod) {
      const closed = promisify(server.close.bind(server))()
      // A connection that is busy now is idle after its answer, and may stay so for a minute.
      const sweep = setInterval(() => server.closeIdleConnections(), sweepInterval)
      const deadline = setTimeout(() => server.closeAllConnections(), gracePeriod)
      await closed
      clearTimeout(deadline)
      clearInterval(sweep)
    },
  }
}

function tlsServer(files: TlsFiles, handler: RequestListener, log: Log): Server {
  const server = https.createServer({ ...readCertificate(files), keepAliveTimeout }, handler)
  const renew = () => {
    try {
      server.setSecureContext(readCertificate(files))
      log.info({ certificate: files.certificatePath }, 'certificate renewed')
    } catch (error) {
      // Half of a renewal may be written: the other file changes too, and is seen then.
      log.warn({ error: messageOf(error) }, 'certificate not renewed')
    }
  }
  const watched = [files.certificatePath, files.keyPath]
  for (const path of watched) {
    watchFile(path, { interval: certificateInterval, persistent: false }, renew)
  }
  server.once('close', () => {
    for (const path of watched) unwatchFile(path, renew)
  })
  return server
}

function readCertificate({ certificatePath, keyPath }: TlsFiles) {
  const pair = { cert: readFileSync(certificatePath), key: readFileSync(keyPath) }
  try {
    createSecureContext(pair)
  } catch (error) {
    const fault = `the certificate ${certificatePath} and the key ${keyPath} cannot be used together`
    throw new Error(`${fault}: ${messageOf(error)}`)
  }
  return pair
}
