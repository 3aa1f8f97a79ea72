// Blobs are long, and either end may give up in the middle of one.
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '../../../service/image/descriptor.ts'
import { RegistryServer } from '../../support/registry-server.ts'

const size = 30 * 1024 * 1024

let server: RegistryServer
let digest: Digest
let path: string

beforeEach(async () => {
  server = await RegistryServer.start()
  digest = await server.bench.putBlob(Buffer.alloc(size, 'b'))
  path = `/v2/hello/blobs/${digest}`
})
afterEach(() => server[Symbol.asyncDispose]())

/** How many files of the storage this process has open. */
function openBlobs(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(server.bench.storageFolder)
    } catch {
      return false // closed meanwhile
    }
  }).length
}

describe('a client that goes away', () => {
  async function leave(method = 'GET', headers = {}): Promise<void> {
    const outgoing = request(server.url + path, { method, headers, agent: false })
    outgoing.end()
    outgoing.on('error', () => {})
    const [incoming] = await once(outgoing, 'response')
    incoming.on('error', () => {})
    if (method === 'GET') await once(incoming, 'data')
    incoming.destroy()
  }

  test.each([
    ['in the middle of a blob', {}],
    ['in the middle of a range', { Range: 'bytes=10-' }],
  ])('%s leaves no open file, and no error in the log', async (_, headers) => {
    await Promise.all(Array.from({ length: 10 }, () => leave('GET', headers)))
    await expect.poll(openBlobs, { timeout: 10_000 }).toBe(0)
    expect(server.log.at('warn', 'error')).toEqual([])
    expect((await server.get(path)).body.length).toBe(size)
  })

  test('before it was answered leaves no open file either', async () => {
    const opening = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<void>()
    server.bench.store.before = (operation) => {
      if (operation !== 'get') return
      opening.resolve()
      return opened.promise
    }
    const outgoing = request(server.url + path, { agent: false })
    const gone = new Promise((resolve) => outgoing.on('close', resolve))
    outgoing.on('error', () => {}).end()
    await opening.promise
    outgoing.destroy()
    await gone
    // A further request has the server notice that the first connection is gone.
    await server.get('/healthz')
    server.bench.store.before = () => {}
    opened.resolve()
    await expect.poll(() => server.log.at('debug').length, { timeout: 10_000 }).toBeGreaterThan(1)
    await expect.poll(openBlobs, { timeout: 10_000 }).toBe(0)
    expect(server.log.at('warn', 'error')).toEqual([])
    expect((await server.get(path)).body.length).toBe(size)
  })

  test('HEAD, 304 and 416 open no file at all', async () => {
    server.bench.journal.length = 0
    await server.head(path)
    await server.get(path, { 'If-None-Match': `"${digest}"` })
    await server.get(path, { Range: `bytes=${size}-` })
    expect(server.bench.did('get')).toEqual([])
  })
})

describe('a blob that breaks off', () => {
  /** Bytes that the client got, and how its connection ended. */
  async function read(): Promise<{ bytes: number; ended: 'whole' | 'cut' }> {
    // On a connection that is kept, a client waits for every byte that it was promised.
    const agent = new Agent({ keepAlive: true })
    const outgoing = request(server.url + path, { agent })
    outgoing.end()
    const [incoming] = await once(outgoing, 'response')
    let bytes = 0
    try {
      for await (const piece of incoming) bytes += piece.length
      return { bytes, ended: 'whole' }
    } catch {
      return { bytes, ended: 'cut' }
    } finally {
      agent.destroy()
    }
  }

  test('by an error cuts the connection, and is logged once', async () => {
    server.bench.store.reading = (_key, stream) => {
      stream.destroy()
      return Readable.from(
        (async function* () {
          yield Buffer.alloc(1000)
          throw new Error('EIO: i/o error, read')
        })(),
      )
    }
    expect((await read()).ended).toBe('cut')
    expect(server.log.at('warn', 'error')).toMatchObject([
      {
        level: 'error',
        fields: { err: { message: 'the storage broke off: EIO: i/o error, read' } },
      },
    ])
  })

  test('by ending early cuts the connection rather than have the client wait', async () => {
    server.bench.store.reading = (_key, stream) => {
      stream.destroy()
      return Readable.from([Buffer.alloc(1000)])
    }
    expect(await read()).toEqual({ bytes: 1000, ended: 'cut' })
    expect(server.log.at('error')).toHaveLength(1)
  })

  test('is never longer than it said', async () => {
    server.bench.store.reading = (_key, stream) => {
      stream.destroy()
      return Readable.from([Buffer.alloc(size), Buffer.from('HTTP/1.1 200 OK\r\n\r\n')])
    }
    expect((await read()).bytes).toBeLessThanOrEqual(size)
    expect(server.log.at('error')).toHaveLength(1)
  })

  test('does not harm the next answer', async () => {
    server.bench.store.reading = (_key, stream) => stream.destroy(new Error('EIO'))
    await fetch(server.url + path)
      .then((answer) => answer.bytes())
      .catch(() => {})
    server.bench.store.reading = (_key, stream) => stream
    expect((await server.get(path)).body.length).toBe(size)
    await expect.poll(openBlobs, { timeout: 10_000 }).toBe(0)
  })
})

test('a blob that is replaced while it is read arrives whole', async () => {
  const outgoing = request(server.url + path, { agent: false })
  outgoing.end()
  const [incoming] = await once(outgoing, 'response')
  await server.bench.disk.put(`blobs/sha256/${digest.slice(7)}`, Buffer.from('short'))
  let bytes = 0
  for await (const piece of incoming) bytes += piece.length
  expect(bytes).toBe(size)
})
