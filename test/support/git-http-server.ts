/** Git server over HTTP that allows one user. It runs `git http-backend`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface GitHttpServerOptions {
  /** Folder of a repository with a work tree. */
  readonly folder: string
  readonly user: string
  readonly password: string
  /** Runs at each request, before it is answered. */
  readonly onRequest?: () => void
}

export class GitHttpServer implements AsyncDisposable {
  /** Decoded authorization of each request: `user:password`, or empty. */
  readonly authorizations: string[] = []
  readonly #options: GitHttpServerOptions
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch((error) => response.destroy(error))
  })

  private constructor(options: GitHttpServerOptions) {
    this.#options = options
  }

  static async start(options: GitHttpServerOptions): Promise<GitHttpServer> {
    const server = new GitHttpServer(options)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { user, password, onRequest } = this.#options
    const encoded = /^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const authorization = Buffer.from(encoded, 'base64').toString()
    this.authorizations.push(authorization)
    onRequest?.()
    const body = await buffer(request)
    if (authorization === `${user}:${password}`) return this.#runBackend(request, body, response)
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="packages"' })
    response.end(`no access for ${authorization}`)
  }

  /** Passes the request to git by CGI (RFC 3875). */
  async #runBackend(
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<void> {
    const [path = '', query = ''] = (request.url ?? '').split('?')
    const { headers } = request
    const backend = spawn('git', ['http-backend'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: {
        PATH: process.env.PATH,
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_PROJECT_ROOT: `${this.#options.folder}/.git`,
        PATH_INFO: path.replace(/^\/[^/]+\.git/, ''),
        QUERY_STRING: query,
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: headers['content-type'],
        CONTENT_LENGTH: String(body.length),
        HTTP_CONTENT_ENCODING: headers['content-encoding'],
        GIT_PROTOCOL: headers['git-protocol']?.toString(),
      },
    })
    backend.stdin.on('error', () => {}).end(body)
    const answer = await buffer(backend.stdout)
    const end = answer.indexOf('\r\n\r\n')
    let status = 200
    for (const line of answer.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(': ')
      if (name === 'Status') status = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.writeHead(status).end(answer.subarray(end + 4))
  }
}
