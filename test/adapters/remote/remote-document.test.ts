import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WebServer } from '../../support/web-server.ts'

let web: WebServer
let proxy: Awaited<ReturnType<typeof startProxy>>

beforeEach(async () => {
  web = await WebServer.start()
  web.serve('/document', 'the document')
  proxy = await startProxy()
})
afterEach(async () => {
  await web[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
})

/** As a process reads it that was started with these settings; or the message of the error. */
async function read(url: string, env: Readonly<Record<string, string>>): Promise<string> {
  const module = resolve(import.meta.dirname, '../../../service/adapters/remote/remote-document.ts')
  const script = `
    import { readRemote, wholeBody } from ${JSON.stringify(module)}
    const options = { limit: 1000, idleTimeout: 5000 }
    const reading = readRemote(process.argv[1], options, async (answer) => String(await wholeBody(answer)))
    process.stdout.write(await reading.catch((error) => error.message))`
  const args = ['--input-type=module', '-e', script, url]
  return text(spawn(process.execPath, args, { env: { PATH: process.env.PATH, ...env } }).stdout)
}

test.each(['http_proxy', 'HTTP_PROXY'])('%s is heeded', async (variable) => {
  expect(await read(`${web.url}/document`, { [variable]: proxy.url })).toBe('the document')
  expect(proxy.targets).toEqual([`127.0.0.1:${web.port}`])
})

test('https_proxy is heeded; what the proxy says stands in the message', async () => {
  const url = 'https://nixpkgs.invalid/token/document'
  expect(await read(url, { https_proxy: proxy.url })).toMatch(/^https:\/\/nixpkgs.invalid: .*502/)
  expect(proxy.targets).toEqual(['nixpkgs.invalid:443'])
})

test('no_proxy is heeded', async () => {
  const settings = { http_proxy: proxy.url, no_proxy: 'example.com,127.0.0.1' }
  expect(await read(`${web.url}/document`, settings)).toBe('the document')
  expect(proxy.targets).toEqual([])
})

test('a setting that is no URL is named, and not quoted', async () => {
  expect(await read(`${web.url}/document`, { http_proxy: 'http://me:s3cret@x:99999' })).toBe(
    `${web.url}: http_proxy or https_proxy is no URL such as http://proxy.example.com:3128`,
  )
})

/** Passes on what is asked for on this machine; there is nothing else that it reaches. */
async function startProxy() {
  const targets: string[] = []
  const server = createServer((asked, response) => {
    const { host, pathname } = new URL(asked.url ?? '')
    targets.push(host)
    request(`http://${host}${pathname}`, (answer) => answer.pipe(response)).end()
  })
  server.on('connect', ({ url = '' }, client) => {
    targets.push(url)
    const [host, port] = url.split(':')
    if (host !== '127.0.0.1') {
      client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
      return
    }
    const upstream = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      client.pipe(upstream).pipe(client)
    })
    for (const socket of [client, upstream]) socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    targets,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
