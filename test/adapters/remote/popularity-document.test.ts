import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  PopularityDocument,
  type PopularityDocumentOptions,
} from '../../../service/adapters/remote/popularity-document.ts'
import {
  isPopularityUrl,
  noPopularity,
  popularityOf,
} from '../../../service/layering/popularity.ts'
import { RecordingLog } from '../../support/recording-log.ts'
import { silentServer } from '../../support/silent-server.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'
import { WebServer } from '../../support/web-server.ts'

const day = 24 * 3600 * 1000
const counts = { zlib: 1250, 'glibc-2.40': 9000, hello: 0 }
const known = popularityOf(Object.entries(counts))

let folder: TemporaryFolder
let web: WebServer
let log: RecordingLog
const opened: PopularityDocument[] = []

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  web = await WebServer.start()
  log = new RecordingLog()
})
afterEach(async () => {
  vi.useRealTimers()
  for (const document of opened.splice(0)) document.stop()
  await web[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function started(url: string, options: Partial<PopularityDocumentOptions> = {}) {
  const document = new PopularityDocument({
    url,
    folder: join(folder.path, 'state'),
    log,
    ...options,
  })
  opened.push(document)
  await document.start()
  return document
}

/** Serves a document with an ETag. Answers 304 to a request that has this ETag. */
function serveTagged(content: object, etag: string): void {
  web.pages.set('/counts.json', (request, response) => {
    if (request.headers['if-none-match'] === etag) response.writeHead(304).end()
    else response.writeHead(200, { ETag: etag }).end(JSON.stringify(content))
  })
}

const requestedEtags = () => web.requests.map(({ headers }) => headers['if-none-match'])
const warnings = () => log.at('warn').map(({ message, fields }) => ({ message, ...fields }))

describe('version', () => {
  test('the version is the same for the same counts in any order', () => {
    expect(popularityOf(Object.entries(counts).reverse()).version).toBe(known.version)
    expect(known.version).toMatch(/^[0-9a-f]{64}$/)
    expect(popularityOf([['zlib', 1]]).version).not.toBe(popularityOf([['zlib', 2]]).version)
  })

  test('the version without any counts is "none"', () => {
    expect(popularityOf([])).toEqual({ counts: new Map(), version: 'none' })
  })
})

test.each([
  ['https://example.com/counts.json', true],
  ['file:///var/lib/counts.json', true],
  ['http://localhost:8000/counts.json', true],
  ['http://127.0.0.1/counts.json', true],
  ['http://[::1]/counts.json', true],
  ['http://example.com/counts.json', false],
  ['http://127.0.0.1.example.com/counts.json', false],
  ['file://server/share/counts.json', false],
  ['ftp://example.com/counts.json', false],
  ['/var/lib/counts.json', false],
  ['', false],
])('%s is a popularity URL: %s', (url, allowed) => {
  expect(isPopularityUrl(url)).toBe(allowed)
})

describe('file URLs', () => {
  let path: string
  let url: string

  beforeEach(() => {
    path = join(folder.path, 'my counts.json')
    url = pathToFileURL(path).href
  })

  test('a file is read at the start', async () => {
    await writeFile(path, JSON.stringify(counts))
    expect((await started(url)).current()).toEqual(known)
    expect(log.at('info')).toMatchObject([{ fields: { version: known.version, packages: 3 } }])
  })

  test('a file is read again daily', async () => {
    await writeFile(path, JSON.stringify(counts))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const document = await started(url)
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1))
    await writeFile(path, '{"zlib":7}')
    await vi.advanceTimersByTimeAsync(day - 1000)
    expect(document.current()).toEqual(known)
    await vi.advanceTimersByTimeAsync(1000)
    await vi.waitFor(() => expect(document.current().counts).toEqual(new Map([['zlib', 7]])))
  })

  test('a missing file means no popularity, with one warning, until the file exists', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const document = await started(url)
    for (let hour = 0; hour < 3; hour++) {
      await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1))
      await vi.advanceTimersByTimeAsync(day / 24)
    }
    expect(document.current()).toEqual(noPopularity)
    expect(warnings()).toMatchObject([
      {
        message: 'NIX_POPULARITY_URL cannot be read; no popularity is used',
        failure: expect.stringContaining('ENOENT'),
      },
    ])
    await writeFile(path, JSON.stringify(counts))
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1))
    await vi.advanceTimersByTimeAsync(day / 24)
    await vi.waitFor(() => expect(document.current()).toEqual(known))
  })

  test('the last copy stays in use when the file becomes invalid', async () => {
    await writeFile(path, JSON.stringify(counts))
    await started(url)
    await writeFile(path, '{"zlib":')
    const document = await started(url)
    await vi.waitFor(() => expect(warnings()).toHaveLength(1))
    expect(document.current()).toEqual(known)
  })

  test.each([
    ['text that is not JSON', 'zlib: 1', 'it is not JSON'],
    ['a list', '[1, 2]', 'must be a JSON object'],
    ['a negative count', '{"zlib": 1, "glibc": -1}', 'numbers from 0 on ("glibc")'],
    ['a count that is text', '{"zlib": "many"}', '("zlib")'],
    ['an infinite count', '{"zlib": 1e999}', '("zlib")'],
    ['a count that is null', '{"zlib": null}', '("zlib")'],
    ['no content', '', 'it is not JSON'],
  ])('a file with %s is refused, and the failure logged', async (_, content, failure) => {
    await writeFile(path, content)
    expect((await started(url)).current()).toEqual(noPopularity)
    expect(warnings()).toMatchObject([{ failure: expect.stringContaining(failure) }])
  })

  test('a file that is too large is not read to its end', async () => {
    await writeFile(path, JSON.stringify(counts))
    expect((await started(url, { limit: 10 })).current()).toEqual(noPopularity)
    expect(warnings()).toMatchObject([{ failure: 'it has more than 10 bytes' }])
  })

  test('package names such as "constructor" are data', async () => {
    await writeFile(path, '{"constructor": 3, "toString": 4}')
    const { counts } = (await started(url)).current()
    expect([...counts]).toEqual([
      ['constructor', 3],
      ['toString', 4],
    ])
  })
})

describe('http URLs', () => {
  test('the server is asked only for changes, also after a restart', async () => {
    serveTagged(counts, '"one"')
    const document = await started(`${web.url}/counts.json`)
    await document.refresh()
    const again = await started(`${web.url}/counts.json`)
    await vi.waitFor(() => expect(requestedEtags()).toEqual([undefined, '"one"', '"one"']))
    expect([document.current(), again.current()]).toEqual([known, known])
    serveTagged({ zlib: 7 }, '"two"')
    await document.refresh()
    expect(document.current().counts).toEqual(new Map([['zlib', 7]]))
    await document.refresh()
    expect(requestedEtags().at(-1)).toBe('"two"')
    expect(warnings()).toEqual([])
  })

  test('the last copy stays in use when the server fails, also after a restart', async () => {
    serveTagged(counts, '"one"')
    const document = await started(`${web.url}/counts.json`)
    web.serve('/counts.json', 'broken', 500)
    await document.refresh()
    await document.refresh()
    expect(document.current()).toEqual(known)
    expect(warnings()).toMatchObject([
      {
        message: 'NIX_POPULARITY_URL cannot be read; the last copy is used',
        failure: `${web.url}: the server answered 500`,
      },
    ])
    expect((await started(`${web.url}/counts.json`)).current()).toEqual(known)
  })

  test('a server out of reach means no popularity without a copy', async () => {
    const { url } = web
    await web[Symbol.asyncDispose]()
    const document = await started(`${url}/counts.json`)
    expect(document.current()).toEqual(noPopularity)
    expect(warnings()).toMatchObject([{ failure: expect.stringContaining('ECONNREFUSED') }])
    web = await WebServer.start()
  })

  test('a silent server delays the start only until the limit', async () => {
    await using silent = await silentServer()
    const url = `http://127.0.0.1:${silent.port}/counts.json`
    const document = await started(url, { startLimit: 100 })
    expect(document.current()).toEqual(noPopularity)
    document.stop()
    expect(warnings()).toEqual([])
  })

  test('a silent server does not delay a start with a copy', async () => {
    serveTagged(counts, '"one"')
    await started(`${web.url}/counts.json`)
    web.pages.set('/counts.json', () => {})
    const document = await started(`${web.url}/counts.json`, { startLimit: 3_600_000 })
    expect(document.current()).toEqual(known)
  })

  test('each URL has a copy of its own', async () => {
    serveTagged(counts, '"one"')
    await started(`${web.url}/counts.json`)
    expect((await started(`${web.url}/others.json`)).current()).toEqual(noPopularity)
    expect(requestedEtags()).toEqual([undefined, undefined])
  })

  test('the log does not contain the credentials of the URL', async () => {
    const url = `http://someone:s3cret@127.0.0.1:${web.port}/counts.json?token=hush-hush`
    await started(url)
    expect(web.requests[0]?.headers.authorization).toMatch(/^Basic /)
    const logged = JSON.stringify(log.lines)
    expect(logged).toContain('answered 404')
    expect(logged).not.toMatch(/s3cret|someone|hush/)
    expect(await readdir(folder.path)).toEqual([])
  })
})

describe('copies', () => {
  test('a damaged copy is ignored, and written again', async () => {
    serveTagged(counts, '"one"')
    await started(`${web.url}/counts.json`)
    const state = join(folder.path, 'state')
    const [name = ''] = await readdir(state)
    await writeFile(join(state, name), '{"etag":"\\"one\\"","counts":{"zlib":-')
    expect((await started(`${web.url}/counts.json`)).current()).toEqual(known)
    expect(warnings()).toMatchObject([{ message: 'ignoring a damaged copy of the popularity' }])
    expect(JSON.parse(await readFile(join(state, name), 'utf8'))).toEqual({ etag: '"one"', counts })
    expect(await readdir(state)).toEqual([name])
  })

  test('a copy that cannot be written is logged as a warning', async () => {
    serveTagged(counts, '"one"')
    await mkdir(join(folder.path, 'full'))
    await writeFile(join(folder.path, 'full', 'file'), '')
    const document = await started(`${web.url}/counts.json`, {
      folder: join(folder.path, 'full', 'file'),
    })
    expect(document.current()).toEqual(known)
    expect(warnings().map(({ message }) => message)).toContain(
      'cannot write a copy of the popularity',
    )
  })
})
