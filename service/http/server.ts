/** The listening socket: HTTP, or HTTPS with certificate files that may be renewed at any time. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSecureContext } from 'node:tls'
import { promisify } from 'node:util'
import { messageOf } from '../image/errors.ts'
import type { Log } from '../telemetry/ports.ts'

/** Loaded without `import`, which reads every export, including WebSocket, and so loads undici in 50 ms. */
const http = process.getBuiltinModule('node:http')
const https = process.getBuiltinModule('node:https')

/** Milliseconds that an idle connection is kept. Proxies keep theirs for a shorter time, so they close first. */
const keepAliveTimeout = 75_000

/** Milliseconds between closing idle connections while the server stops. */
const sweepInterval = 50

/** Milliseconds between checks of the certificate files: a check is two calls of stat. */
const certificateInterval = 5000

/** Files in PEM format. */
export interface TlsFiles {
  readonly certificatePath: string
  readonly keyPath: string
}

export interface ListenOptions {
  readonly host: string
  /** 0 chooses a free port. */
  readonly port: number
  readonly tls?: TlsFiles
  readonly log: Log
}

export interface Listening {
  readonly address: AddressInfo
  /** Accepts no more connections, and cuts those that are still busy after the grace period (ms). */
  close(gracePeriod: number): Promise<void>
}

/** @throws Error if the port cannot be opened, or if the certificate and the key do not belong together */
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
  server.on('error', (error) => log.error({ failure: error.message }, 'cannot accept a connection'))
  return {
    address: server.address() as AddressInfo,
    async close(gracePeriod) {
      const closed = promisify(server.close.bind(server))()
      // A busy connection becomes idle after its answer, and its client may keep it open for a minute.
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
      // Perhaps only one of the two files has been renewed. The change of the other one starts another attempt.
      log.warn({ failure: messageOf(error) }, 'certificate not renewed')
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
    throw new Error(
      `the certificate ${certificatePath} and the key ${keyPath} cannot be used together: ${messageOf(error)}`,
    )
  }
  return pair
}
