/** Requests of a process go through the proxies that its environment names. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RecordingProxy } from '../../support/recording-proxy.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'
import { WebServer } from '../../support/web-server.ts'

// Each test starts a process.
vi.setConfig({ testTimeout: 30_000 })

const service = resolve(import.meta.dirname, '../../../service')

let web: WebServer
let proxy: RecordingProxy

beforeEach(async () => {
  web = await WebServer.start()
  web.serve('/document', 'the document')
  proxy = await RecordingProxy.start()
})
afterEach(async () => {
  await web[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
})

/** Runs a script in a process with these variables. @returns its output */
function run(script: string, environment: Readonly<Record<string, string>>): Promise<string> {
  const env = { PATH: process.env.PATH, ...environment }
  return text(spawn(process.execPath, ['--input-type=module', '-e', script], { env }).stdout)
}

/** Reads a document in a process with these variables. @returns the document, or the message of the error */
function read(url: string, environment: Readonly<Record<string, string>>): Promise<string> {
  const script = `
    import { readRemote, wholeBody } from '${service}/adapters/remote/remote-document.ts'
    const options = { limit: 1000, idleTimeout: 5000 }
    const read = async (response) => String(await wholeBody(response))
    process.stdout.write(await readRemote('${url}', options, read).catch(({ message }) => message))`
  return run(script, environment)
}

test.each(['http_proxy', 'HTTP_PROXY'])('a request goes through %s', async (variable) => {
  expect(await read(`${web.url}/document`, { [variable]: proxy.url })).toBe('the document')
  expect(proxy.requests).toEqual([`GET ${web.url}/document`])
})

test.each(['https_proxy', 'HTTPS_PROXY', 'http_proxy'])(
  'an https request goes through a tunnel of %s, whose refusal is reported',
  async (variable) => {
    const url = 'https://nixpkgs.invalid/token/document'
    const output = await read(url, { [variable]: proxy.url })
    expect(output).toMatch(/^https:\/\/nixpkgs.invalid: .*502/)
    expect(proxy.requests).toEqual(['CONNECT nixpkgs.invalid:443'])
  },
)

test.each(['no_proxy', 'NO_PROXY'])(
  'a request to a host in %s goes to the host',
  async (variable) => {
    const settings = { http_proxy: proxy.url, [variable]: 'example.com,127.0.0.1' }
    expect(await read(`${web.url}/document`, settings)).toBe('the document')
    expect(proxy.requests).toEqual([])
  },
)

test('an empty variable does not hide the one in the other case', async () => {
  const settings = { http_proxy: '', HTTP_PROXY: proxy.url }
  expect(await read(`${web.url}/document`, settings)).toBe('the document')
  expect(proxy.requests).toHaveLength(1)
})

test('a request goes through a SOCKS5 proxy', async () => {
  const greeting = Promise.withResolvers<Buffer>()
  const socks = createServer((client) => {
    client.once('data', greeting.resolve)
    // Offers no method of authentication.
    client.end(Buffer.from([5, 0xff]))
  })
  await once(socks.listen(0, '127.0.0.1'), 'listening')
  const { port } = socks.address() as AddressInfo
  const output = await read(`${web.url}/document`, { http_proxy: `socks5://127.0.0.1:${port}` })
  expect(output).toBe(`${web.url}: No acceptable authentication method`)
  expect((await greeting.promise)[0]).toBe(5)
  socks.close()
})

test('a proxy setting that is not a URL is named and not quoted', async () => {
  const settings = { http_proxy: 'http://me:s3cret@x:99999' }
  expect(await read(`${web.url}/document`, settings)).toBe(
    'http_proxy is not a URL such as http://proxy.example.com:3128',
  )
})

test('the popularity document and the channel server use the proxy', async () => {
  await using folder = await TemporaryFolder.create()
  web.serve('/popularity', '{"zlib":1}')
  web.serve('/channel', 'a'.repeat(40))
  web.serve('/compare', '{"status":"behind"}')
  web.serve('/tarball', 'not a tarball')
  const script = `
    import { HttpChannelServer } from '${service}/adapters/channels/channel-server.ts'
    import { ProcessGroups } from '${service}/adapters/process/process-groups.ts'
    import { PopularityDocument } from '${service}/adapters/remote/popularity-document.ts'
    const log = { debug() {}, info() {}, warn(...all) { console.log(...all) }, error() {} }
    const folder = '${folder.path}'
    const popularity = new PopularityDocument({ url: '${web.url}/popularity', folder, log })
    await popularity.start()
    popularity.stop()
    const server = new HttpChannelServer({
      channelUrl: '${web.url}/channel', compareUrl: '${web.url}/compare', tarballUrl: '${web.url}/tarball',
      folder: '${join(folder.path, 'tarballs')}', temporaryFolder: folder, groups: new ProcessGroups(),
    })
    const commit = await server.resolve('nixos-unstable')
    await server.isReachable(commit, ['master'])
    await server.download(commit, folder).catch(({ kind }) => console.log(kind))`
  expect(await run(script, { http_proxy: proxy.url })).toBe('unavailable\n')
  expect(proxy.requests).toEqual(
    ['/popularity', '/channel', '/compare', '/tarball'].map((path) => `GET ${web.url}${path}`),
  )
})
