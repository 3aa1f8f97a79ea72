// A blob is long, and the client or the storage may fail in the middle of it.
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

/** @param hasPieces whether the back end is a PieceReader, as the file system is */
async function start(hasPieces: boolean): Promise<void> {
  server = await RegistryServer.start({ hasPieces })
  digest = await server.bench.putBlob(Buffer.alloc(size, 'b'))
  path = `/v2/hello/blobs/${digest}`
}

afterEach(() => server[Symbol.asyncDispose]())

/** Counts the files of the storage that this process has open. */
function openBlobs(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(server.bench.storageFolder)
    } catch {
      return false // closed meanwhile
    }
  }).length
}

/** Reads the blob, and returns the bytes that arrived and how the connection ended. */
async function read(): Promise<{ bytes: number; ended: 'whole' | 'cut' }> {
  // On a connection that is kept alive, a client waits for every byte of Content-Length.
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

/** Sends a request, and closes the connection in the middle of the answer. */
async function leave(headers = {}): Promise<void> {
  const outgoing = request(server.url + path, { headers, agent: false })
  outgoing.end()
  outgoing.on('error', () => {})
  const [incoming] = await once(outgoing, 'response')
  incoming.on('error', () => {})
  await once(incoming, 'data')
  incoming.destroy()
}

/** Closes the connection while the storage opens the blob. */
async function leaveWhileOpening(operation: 'read' | 'get'): Promise<void> {
  const opening = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  server.bench.store.before = (begun) => {
    if (begun !== operation) return
    opening.resolve()
    return opened.promise
  }
  const outgoing = request(server.url + path, { agent: false })
  const gone = new Promise((resolve) => outgoing.on('close', resolve))
  outgoing.on('error', () => {}).end()
  await opening.promise
  outgoing.destroy()
  await gone
  // After another request, the server has noticed that the first connection is closed.
  await server.get('/healthz')
  server.bench.store.before = () => {}
  opened.resolve()
}

async function expectNoOpenBlob(): Promise<void> {
  await expect.poll(openBlobs, { timeout: 10_000 }).toBe(0)
}

describe('from pieces', () => {
  beforeEach(() => start(true))

  test.each([
    ['a blob', {}],
    ['a range', { Range: 'bytes=10-' }],
  ])(
    'a client that leaves in the middle of %s leaves no open file and no error',
    async (_, headers) => {
      await Promise.all(Array.from({ length: 10 }, () => leave(headers)))
      await expectNoOpenBlob()
      expect(server.log.at('warn', 'error')).toEqual([])
      expect((await server.get(path)).body.length).toBe(size)
    },
  )

  test('a client that leaves before the blob is opened leaves no open file and no error', async () => {
    await leaveWhileOpening('read')
    await expect.poll(() => server.log.at('debug').length, { timeout: 10_000 }).toBeGreaterThan(1)
    await expectNoOpenBlob()
    expect(server.log.at('warn', 'error')).toEqual([])
    expect((await server.get(path)).body.length).toBe(size)
  })

  test('HEAD, 304 and 416 of a blob open no file', async () => {
    server.bench.journal.length = 0
    await server.head(path)
    await server.get(path, { 'If-None-Match': `"${digest}"` })
    await server.get(path, { Range: `bytes=${size}-` })
    expect([...server.bench.did('get'), ...server.bench.did('read')]).toEqual([])
  })

  test('a read error in the middle of a blob cuts the connection, and is logged once', async () => {
    server.bench.store.passing = async (_key, take) => {
      await take(Buffer.alloc(1000))
      throw new Error('EIO: i/o error, read')
    }
    expect(await read()).toEqual({ bytes: 1000, ended: 'cut' })
    expect(server.log.at('warn', 'error')).toMatchObject([
      { level: 'error', fields: { err: { message: 'EIO: i/o error, read' } } },
    ])
  })

  test('a read error before the first byte of a blob answers 500', async () => {
    server.bench.store.passing = async () => {
      throw new Error('EIO: i/o error, open')
    }
    expect((await server.get(path)).status).toBe(500)
    expect(server.log.at('warn', 'error')).toHaveLength(1)
  })

  test('a blob that ends early cuts the connection', async () => {
    server.bench.store.passing = async (_key, take) => {
      await take(Buffer.alloc(1000))
      return true
    }
    expect(await read()).toEqual({ bytes: 1000, ended: 'cut' })
    expect(server.log.at('error')).toHaveLength(1)
  })

  test('a blob that is too long is cut at its Content-Length', async () => {
    server.bench.store.passing = async (_key, take, pass) => {
      await pass(take)
      await take(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))
      return true
    }
    expect((await read()).bytes).toBeLessThanOrEqual(size)
    await expect.poll(() => server.log.at('error')).toHaveLength(1)
  })

  test('after a read error, the next answer is whole', async () => {
    const { passing } = server.bench.store
    server.bench.store.passing = async (_key, take) => {
      await take(Buffer.alloc(1000))
      throw new Error('EIO')
    }
    expect((await read()).ended).toBe('cut')
    server.bench.store.passing = passing
    expect((await server.get(path)).body.length).toBe(size)
    await expectNoOpenBlob()
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
})

describe('from a stream', () => {
  beforeEach(() => start(false))

  test('a client that leaves in the middle of a streamed blob leaves no open file', async () => {
    await Promise.all(Array.from({ length: 10 }, () => leave()))
    await expectNoOpenBlob()
    expect(server.log.at('warn', 'error')).toEqual([])
  })

  test('a client that leaves before a streamed blob is opened leaves no open file', async () => {
    await leaveWhileOpening('get')
    await expect.poll(() => server.log.at('debug').length, { timeout: 10_000 }).toBeGreaterThan(1)
    await expectNoOpenBlob()
    expect(server.log.at('warn', 'error')).toEqual([])
  })

  test('a streamed blob that breaks off cuts the connection, and is logged once', async () => {
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
        fields: { err: { message: 'the storage broke off the transfer: EIO: i/o error, read' } },
      },
    ])
  })
})
