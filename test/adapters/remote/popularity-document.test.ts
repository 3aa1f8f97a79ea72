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

/** A document with an ETag, which answers 304 to who has it. */
function serveTagged(content: object, etag: string): void {
  web.pages.set('/counts.json', (request, response) => {
    if (request.headers['if-none-match'] === etag) response.writeHead(304).end()
    else response.writeHead(200, { ETag: etag }).end(JSON.stringify(content))
  })
}

const asked = () => web.requests.map(({ headers }) => headers['if-none-match'])
const warnings = () => log.at('warn').map(({ message, fields }) => ({ message, ...fields }))

describe('the version', () => {
  test('is the same for the same counts in any order', () => {
    expect(popularityOf(Object.entries(counts).reverse()).version).toBe(known.version)
    expect(known.version).toMatch(/^[0-9a-f]{64}$/)
    expect(popularityOf([['zlib', 1]]).version).not.toBe(popularityOf([['zlib', 2]]).version)
  })

  test('is "none" when nothing is known', () => {
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
])('a URL that popularity may come from: %s %s', (url, allowed) => {
  expect(isPopularityUrl(url)).toBe(allowed)
})

describe('a file', () => {
  let path: string
  let url: string

  beforeEach(() => {
    path = join(folder.path, 'my counts.json')
    url = pathToFileURL(path).href
  })

  test('is read at the start', async () => {
    await writeFile(path, JSON.stringify(counts))
    expect((await started(url)).current()).toEqual(known)
    expect(log.at('info')).toMatchObject([{ fields: { version: known.version, packages: 3 } }])
  })

  test('is read again daily', async () => {
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

  test('that is missing means none, with one warning, until it is there', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const document = await started(url)
    for (let hour = 0; hour < 3; hour++) {
      await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1))
      await vi.advanceTimersByTimeAsync(day / 24)
    }
    expect(document.current()).toEqual(noPopularity)
    expect(warnings()).toMatchObject([
      {
        message: 'NIX_POPULARITY_URL cannot be read; none is used',
        failure: expect.stringContaining('ENOENT'),
      },
    ])
    await writeFile(path, JSON.stringify(counts))
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1))
    await vi.advanceTimersByTimeAsync(day / 24)
    await vi.waitFor(() => expect(document.current()).toEqual(known))
  })

  test('that goes bad leaves the last copy in use', async () => {
    await writeFile(path, JSON.stringify(counts))
    await started(url)
    await writeFile(path, '{"zlib":')
    const document = await started(url)
    await vi.waitFor(() => expect(warnings()).toHaveLength(1))
    expect(document.current()).toEqual(known)
  })

  test.each([
    ['no JSON', 'zlib: 1', 'it is not JSON'],
    ['a list', '[1, 2]', 'must be a JSON object'],
    ['a negative count', '{"zlib": 1, "glibc": -1}', 'numbers from 0 on ("glibc")'],
    ['a count in words', '{"zlib": "many"}', '("zlib")'],
    ['an infinite count', '{"zlib": 1e999}', '("zlib")'],
    ['a count that is none', '{"zlib": null}', '("zlib")'],
    ['nothing', '', 'it is not JSON'],
  ])('with %s is refused, and the reason logged', async (_, content, reason) => {
    await writeFile(path, content)
    expect((await started(url)).current()).toEqual(noPopularity)
    expect(warnings()).toMatchObject([{ failure: expect.stringContaining(reason) }])
  })

  test('that is too large is not read to its end', async () => {
    await writeFile(path, JSON.stringify(counts))
    expect((await started(url, { limit: 10 })).current()).toEqual(noPopularity)
    expect(warnings()).toMatchObject([{ failure: 'it has more than 10 bytes' }])
  })

  test('with names like those of JavaScript’s own is data', async () => {
    await writeFile(path, '{"constructor": 3, "toString": 4}')
    const { counts } = (await started(url)).current()
    expect([...counts]).toEqual([
      ['constructor', 3],
      ['toString', 4],
    ])
  })
})

describe('a URL', () => {
  test('is asked only whether it changed, after a restart as well', async () => {
    serveTagged(counts, '"one"')
    const document = await started(`${web.url}/counts.json`)
    await document.refresh()
    const again = await started(`${web.url}/counts.json`)
    await vi.waitFor(() => expect(asked()).toEqual([undefined, '"one"', '"one"']))
    expect([document.current(), again.current()]).toEqual([known, known])
    serveTagged({ zlib: 7 }, '"two"')
    await document.refresh()
    expect(document.current().counts).toEqual(new Map([['zlib', 7]]))
    await document.refresh()
    expect(asked().at(-1)).toBe('"two"')
    expect(warnings()).toEqual([])
  })

  test('that is out of reach leaves the last copy in use, after a restart as well', async () => {
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

  test('that is out of reach with no copy means none', async () => {
    const { url } = web
    await web[Symbol.asyncDispose]()
    const document = await started(`${url}/counts.json`)
    expect(document.current()).toEqual(noPopularity)
    expect(warnings()).toMatchObject([{ failure: expect.stringContaining('ECONNREFUSED') }])
    web = await WebServer.start()
  })

  test('that says nothing holds the start up only for a moment', async () => {
    await using silent = await silentServer()
    const before = performance.now()
    const url = `http://127.0.0.1:${silent.port}/counts.json`
    const document = await started(url, { startLimit: 100 })
    expect(performance.now() - before).toBeLessThan(2000)
    expect(document.current()).toEqual(noPopularity)
    document.stop()
    expect(warnings()).toEqual([])
  })

  test('that says nothing does not hold up a start with a copy', async () => {
    serveTagged(counts, '"one"')
    await started(`${web.url}/counts.json`)
    web.pages.set('/counts.json', () => {})
    const document = await started(`${web.url}/counts.json`, { startLimit: 3_600_000 })
    expect(document.current()).toEqual(known)
  })

  test('that is another one has a copy of its own', async () => {
    serveTagged(counts, '"one"')
    await started(`${web.url}/counts.json`)
    expect((await started(`${web.url}/others.json`)).current()).toEqual(noPopularity)
    expect(asked()).toEqual([undefined, undefined])
  })

  test('tells its credentials to nobody', async () => {
    const url = `http://someone:s3cret@127.0.0.1:${web.port}/counts.json?token=hush-hush`
    await started(url)
    expect(web.requests[0]?.headers.authorization).toMatch(/^Basic /)
    const said = JSON.stringify(log.lines)
    expect(said).toContain('answered 404')
    expect(said).not.toMatch(/s3cret|someone|hush/)
    expect(await readdir(folder.path)).toEqual([])
  })
})

describe('the copy', () => {
  test('that is damaged is ignored, and written anew', async () => {
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

  test('that cannot be written costs a warning', async () => {
    serveTagged(counts, '"one"')
    await mkdir(join(folder.path, 'full'))
    await writeFile(join(folder.path, 'full', 'file'), '')
    const document = await started(`${web.url}/counts.json`, {
      folder: join(folder.path, 'full', 'file'),
    })
    expect(document.current()).toEqual(known)
    expect(warnings().map(({ message }) => message)).toContain(
      'no copy of the popularity could be written',
    )
  })
})
