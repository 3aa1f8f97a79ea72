// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, contentHeaders } from '../../support/app-server.ts'
import { RegistryServer, registryError } from '../../support/registry-server.ts'

const tags = ['1.0', '1.0-rc', 'V1', '_x', 'latest', 'main', 'v1', 'v10', 'v2', 'v9']
const names = ['a', 'a-b', 'a/b', 'b', 'hello', 'z']

let server: RegistryServer
beforeAll(async () => {
  const refs = Object.fromEntries(tags.toReversed().map((tag) => [tag, '1'.repeat(40)]))
  const packages = Object.fromEntries(['a', 'a-b', 'b', 'hello', 'z'].map((name) => [name, {}]))
  server = await RegistryServer.start({ refs, packages })
  for (const name of names) await server.bench.image(name)
})
afterAll(() => server[Symbol.asyncDispose]())

/** Returns the path of the next page, from a Link in the form of RFC 8288. */
function next(answer: Answer): string | undefined {
  const link = answer.headers.link
  if (link === undefined) return undefined
  const [, path] = /^<([^>]+)>; rel="next"$/.exec(String(link)) ?? []
  if (path === undefined) throw new Error(`not a link to a next page: ${link}`)
  return path
}

const lists = [
  { path: '/v2/hello/tags/list', field: 'tags', all: tags },
  { path: '/v2/_catalog', field: 'repositories', all: names },
]

describe.each(lists)('$path', ({ path, field, all }) => {
  async function entries(query: string): Promise<string[]> {
    const answer = await server.get(path + query)
    expect(answer.status).toBe(200)
    return (answer.json() as Record<string, string[]>)[field] as string[]
  }

  test(`GET ${path} lists all entries in byte order on one page`, async () => {
    const answer = await server.get(path)
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.headers['content-length']).toBe(String(answer.body.length))
    expect(answer.json()).toMatchObject({ [field]: all })
    expect(answer.headers.link).toBeUndefined()
  })

  test(`HEAD ${path} answers the headers of GET without a body`, async () => {
    for (const query of ['', '?n=2']) {
      const [get, head] = [await server.get(path + query), await server.head(path + query)]
      expect(head.status).toBe(200)
      expect(head.body.length).toBe(0)
      expect(contentHeaders(head)).toEqual(contentHeaders(get))
    }
  })

  test(`GET ${path}?n=3 lists three entries`, async () => {
    expect(await entries('?n=3')).toEqual(all.slice(0, 3))
  })

  test(`GET ${path}?n=0 lists nothing and has no Link`, async () => {
    const answer = await server.get(`${path}?n=0`)
    expect(answer.status).toBe(200)
    expect(answer.json()).toMatchObject({ [field]: [] })
    expect(answer.headers.link).toBeUndefined()
  })

  test.each(['1000', '1000000000000', '9'.repeat(400)])(
    `GET ${path}?n=%s, more than there are, lists all entries and has no Link`,
    async (n) => {
      const answer = await server.get(`${path}?n=${n}`)
      expect(answer.json()).toMatchObject({ [field]: all })
      expect(answer.headers.link).toBeUndefined()
    },
  )

  test(`GET ${path} with n equal to the number of entries has no Link`, async () => {
    const answer = await server.get(`${path}?n=${all.length}`)
    expect(answer.json()).toMatchObject({ [field]: all })
    expect(answer.headers.link).toBeUndefined()
  })

  test.each(['-1', 'x', '1.5', '', '1e3', '0x10', '%201'])(
    `GET ${path}?n=%s answers 400 with the value`,
    async (n) => {
      const answer = await server.get(`${path}?n=${n}`)
      expect(answer.status).toBe(400)
      expect(registryError(answer)).toMatchObject({
        code: 'PAGINATION_NUMBER_INVALID',
        message: expect.stringContaining(`n="${decodeURIComponent(n)}"`),
      })
    },
  )

  test(`GET ${path}?last=… begins after that entry`, async () => {
    const [first, second] = all as [string, string]
    expect(await entries(`?last=${encodeURIComponent(first)}`)).toEqual(all.slice(1))
    expect(await entries(`?n=1&last=${encodeURIComponent(first)}`)).toEqual([second])
    expect(await entries(`?n=2&last=${encodeURIComponent(second)}`)).toEqual(all.slice(2, 4))
  })

  test(`GET ${path}?last=… accepts an entry that is not in the list`, async () => {
    expect(await entries('?last=hellp')).toEqual(all.filter((entry) => entry > 'hellp'))
    expect(await entries('?last=')).toEqual(all)
  })

  test(`GET ${path}?last=… with the last entry lists nothing and has no Link`, async () => {
    for (const last of [all.at(-1), 'zzz']) {
      const answer = await server.get(`${path}?n=2&last=${last}`)
      expect(answer.json()).toMatchObject({ [field]: [] })
      expect(answer.headers.link).toBeUndefined()
    }
  })

  test.each([1, 2, 3, 4])(`the Links of ${path}?n=%i lead through all entries`, async (n) => {
    const seen: string[] = []
    let pages = 0
    let at: string | undefined = `${path}?n=${n}`
    while (at !== undefined) {
      const answer: Answer = await server.get(at)
      const found = (answer.json() as Record<string, string[]>)[field] as string[]
      expect(found.length).toBeLessThanOrEqual(n)
      seen.push(...found)
      pages += 1
      at = next(answer)
    }
    expect(seen).toEqual(all)
    expect(pages).toBe(Math.ceil(all.length / n))
  })
})

test('GET tags answers the name as it was requested', async () => {
  expect((await server.get('/v2/hello/a/tags/list?n=1')).json()).toEqual({
    name: 'hello/a',
    tags: ['1.0'],
  })
})

test('the Link of GET tags keeps the percent-encoding of the name', async () => {
  const answer = await server.get('/v2/hello%2Fa/tags/list?n=1')
  expect(next(answer)).toBe('/v2/hello%2Fa/tags/list?last=1.0&n=1')
})

test('GET tags lists the tags for any well-formed name without an evaluation', async () => {
  const evaluations = server.bench.evaluator.requests.length
  const answer = await server.get('/v2/no/such/package/tags/list')
  expect(answer.json()).toEqual({ name: 'no/such/package', tags })
  expect(server.bench.evaluator.requests).toHaveLength(evaluations)
})

test('GET tags of an invalid name answers 400 NAME_INVALID', async () => {
  const answer = await server.get('/v2/No%20name/tags/list')
  expect(answer.status).toBe(400)
  expect(registryError(answer).code).toBe('NAME_INVALID')
})

test('GET catalog of a registry without images answers an empty list', async () => {
  await using empty = await RegistryServer.start()
  expect((await empty.get('/v2/_catalog')).json()).toEqual({ repositories: [] })
})
