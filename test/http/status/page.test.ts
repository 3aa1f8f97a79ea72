import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { BuildEntry } from '../../../service/build/ports.ts'
import type { StatusServices } from '../../../service/http/services.ts'
import { Failure } from '../../../service/image/errors.ts'
import type { RefImage, RefState, RefStates } from '../../../service/prebuild/ports.ts'
import type { Answer, RequestHeaders } from '../../support/app-server.ts'
import { AppServer } from '../../support/app-server.ts'
import { buildEntryOf } from '../../support/build-entries.ts'
import { RecordingLog } from '../../support/recording-log.ts'

const log = new RecordingLog()

async function answerOf(
  status: Partial<StatusServices> = {},
  headers: RequestHeaders = {},
  method = 'GET',
): Promise<Answer> {
  await using server = await AppServer.start({ status, log })
  // Awaited here, before the server is closed.
  return await server.send(method, '/', headers)
}

async function pageOf(...request: Parameters<typeof answerOf>): Promise<string> {
  return (await answerOf(...request)).body.toString()
}

const withBuilds = (...builds: BuildEntry[]) => ({
  builds: { recent: () => builds, get: async () => undefined },
})

function withRefs(...refs: Partial<RefState>[]): { refs: RefStates } {
  const complete = refs.map((ref) => ({
    ref: 'refs/tags/v1',
    tag: 'v1',
    commit: 'a'.repeat(40),
    inScope: true,
    images: [],
    ...ref,
  }))
  return { refs: { list: async () => ({ refs: complete, total: complete.length }) } }
}

/** Returns the text of the page without markup, with single spaces. */
const textOf = (page: string) =>
  page
    .replace(/<style>.*<\/style>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')

test.each([
  ['registry.internal:8443', 'registry.internal:8443'],
  ['[::1]:8080', '[::1]:8080'],
  ['10.0.0.7', '10.0.0.7'],
  ['evil.example/<script>', 'registry.example.com'],
  ['a b', 'registry.example.com'],
  ['user@host', 'registry.example.com'],
  [`${'a'.repeat(300)}`, 'registry.example.com'],
])('the page for the Host "%s" shows a pull from %s', async (host, shown) => {
  const page = await pageOf({}, { Host: host })
  expect(page).toContain(`docker pull ${shown}/shell/git/jq<`)
  expect(page).not.toContain('<script')
})

test('the page shows a pull from the public URL', async () => {
  const publicUrl = new URL('https://registry.acme.org/')
  const page = await pageOf({ publicUrl }, { Host: 'other.example' })
  expect(page).toContain('docker pull registry.acme.org/')
  expect(page).not.toContain('other.example')
})

test('the page shows a pull of a stored image, else of a built image', async () => {
  const images: RefImage[] = [
    { name: 'broken', state: 'failed' },
    { name: 'soon', state: 'queued' },
    { name: 'ready', state: 'stored' },
  ]
  expect(await pageOf(withRefs({ images }))).toMatch(/docker pull \S+\/ready:v1</)
  const built = buildEntryOf({ image: 'git', ref: 'refs/heads/feature/login' })
  expect(await pageOf(withBuilds(built))).toMatch(/docker pull \S+\/git:feature-login</)
})

test('the page shows the state of each image of a ref as a word', async () => {
  const images: RefImage[] = [
    { name: 'a', state: 'stored' },
    { name: 'b', state: 'building' },
    { name: 'c', state: 'queued' },
    { name: 'd', state: 'failed', failure: 'it broke' },
    { name: 'e', state: 'absent' },
  ]
  const text = textOf(await pageOf(withRefs({ images })))
  expect(text).toContain(`v1 tag · ${'a'.repeat(12)} `)
  expect(text).toContain('a stored b building c queued d failed e absent')
})

test('the page counts the refs out of scope', async () => {
  const page = await pageOf(withRefs({}, { tag: 'old', inScope: false }))
  expect(page).not.toContain('old')
  expect(textOf(page)).toContain('1 more ref can be pulled')
})

test('the page shows the failure of a ref with an invalid slipway.json', async () => {
  const failure = 'slipway.json: images: 7 is not a list of image names'
  expect(textOf(await pageOf(withRefs({ failure })))).toContain(failure)
})

test('the page without refs that cannot be listed shows the rest, and logs the failure', async () => {
  const list = async () => {
    throw new Failure('unavailable', 'the storage is on fire')
  }
  const answer = await answerOf({ refs: { list }, ...withBuilds(buildEntryOf()) })
  expect(answer.status).toBe(200)
  const text = textOf(answer.body.toString())
  expect(text).toContain('The refs cannot be listed just now.')
  expect(text).toContain('custom-service:release-v2')
  expect(log.at('warn')).toMatchObject([{ fields: { failure: 'the storage is on fire' } }])
})

test('the page of a source without refs has no list of refs', async () => {
  expect(await pageOf()).not.toContain('<h2>Refs')
})

test('the page shows at most 40 images of a ref', async () => {
  const images = Array.from({ length: 500 }, (_, index) => {
    return { name: `image${index}`, state: 'stored' } as const
  })
  const text = textOf(await pageOf(withRefs({ images })))
  expect(text).toContain('image39 stored and 460 more')
  expect(text).not.toContain('image40 ')
})

test('the page shows the times of a build and a link to its details', async () => {
  const build = buildEntryOf()
  const page = await pageOf(withBuilds(build))
  expect(page).toContain(`<a href="/api/builds/${build.id}">custom-service:release-v2</a>`)
  expect(page).toContain(`<time datetime="${build.startedAt}"`)
  expect(textOf(page)).toContain('built 6.5 s')
  expect(textOf(page)).toContain('prebuild · evaluate 420 ms · realise 3.1 s')
})

test('the page shows a build without a ref by its commit', async () => {
  const { ref: _, ...build } = buildEntryOf({ revision: '0123456789abcdef'.padEnd(40, '0') })
  expect(await pageOf(withBuilds(build))).toContain('custom-service:0123456789ab<')
})

test('the page shows a build of a channel by the name of the channel', async () => {
  const build = buildEntryOf({ image: 'git', ref: 'nixos-24.11' })
  expect(await pageOf(withBuilds(build))).toContain('git:nixos-24.11<')
})

test('the page shows at most 20 builds', async () => {
  const builds = Array.from({ length: 50 }, () => buildEntryOf())
  expect((await pageOf(withBuilds(...builds))).match(/<p class="build">/g)).toHaveLength(20)
})

test('the page shows a failed build with the end of its log', async () => {
  const lines = Array.from({ length: 100 }, (_, index) => `line ${index}`)
  const failure = 'package git: the builder failed with exit code 1'
  const failed = buildEntryOf({ outcome: 'failed', failure, log: lines.join('\n') })
  const page = await pageOf(withBuilds(failed))
  expect(textOf(page)).toContain(`Recent failures custom-service:release-v2`)
  expect(page).toContain(failure)
  expect(page).toMatch(/<pre[^>]*>line 80\n.*line 99<\/pre>/s)
  expect(page).not.toContain('line 79')
})

test('the page does not show a failure whose image was built since', async () => {
  const failed = buildEntryOf({ outcome: 'failed', failure: 'it broke' })
  expect(await pageOf(withBuilds(buildEntryOf(), failed))).not.toContain('Recent failures')
  const other = buildEntryOf({ revision: 'f'.repeat(40) })
  expect(await pageOf(withBuilds(other, failed))).toContain('Recent failures')
  const aborted = buildEntryOf({ outcome: 'aborted' })
  expect(await pageOf(withBuilds(aborted, failed))).toContain('Recent failures')
})

test('the page shows repeated failures of an image once', async () => {
  const failed = () => buildEntryOf({ outcome: 'failed', failure: 'it broke' })
  const page = await pageOf(withBuilds(failed(), failed(), failed()))
  expect(page.match(/<article>/g)).toHaveLength(1)
})

test('the page shows a source that is out of reach', async () => {
  const status = { ready: true, refreshedAt: new Date().toISOString(), failure: 'no route' }
  const text = textOf(await pageOf({ source: { status: () => status } }))
  expect(text).toContain('Package set out of reach serving what was read just now no route')
})

test('the page shows a source that was never read as not ready', async () => {
  const status = { ready: false, failure: 'no route' }
  expect(textOf(await pageOf({ source: { status: () => status } }))).toContain('Not ready no rou')
})

test('the page escapes all that people and builders write', async () => {
  const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(1)></pre></style>`
  const build = buildEntryOf({
    image: hostile,
    ref: `refs/heads/${hostile}`,
    revision: hostile,
    outcome: 'failed',
    failure: hostile,
    log: hostile,
    stages: { [hostile]: 1 },
  })
  const image: RefImage = { name: hostile, state: 'failed', failure: hostile }
  const ref = { ref: hostile, tag: hostile, commit: hostile, failure: hostile, images: [image] }
  const status = { ready: true, failure: hostile }
  const page = await pageOf({
    ...withBuilds(build),
    ...withRefs(ref),
    source: { status: () => status },
  })
  expect(page).not.toContain('<script')
  expect(page).not.toContain('<img')
  expect(page).not.toMatch(/["']>&lt;script/)
  expect(page.match(/<\/style>/g)).toHaveLength(1)
  expect(page).toContain('&lt;script&gt;')
})

test('the Content-Security-Policy allows only the style sheet of the page', async () => {
  const answer = await answerOf()
  const style = /<style>(.*)<\/style>/s.exec(answer.body.toString())?.[1] ?? ''
  const hash = createHash('sha256').update(style).digest('base64')
  expect(answer.headers['content-security-policy']).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  )
  expect(answer.body.toString()).not.toMatch(/ style=|<script|<link|<img/)
  expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
  expect(answer.headers['x-content-type-options']).toBe('nosniff')
  expect(answer.headers['cache-control']).toBe('no-store')
})

test('the page reloads while an image is built or queued, and only then', async () => {
  const refresh = '<meta http-equiv="refresh" content="10">'
  expect(await pageOf(withBuilds(buildEntryOf()))).not.toContain('http-equiv')
  expect(await pageOf(withBuilds(buildEntryOf({ outcome: 'running' })))).toContain(refresh)
  const images: RefImage[] = [{ name: 'a', state: 'queued' }]
  expect(await pageOf(withRefs({ images }))).toContain(refresh)
})

test('HEAD / answers the headers of the page without a body', async () => {
  const head = await answerOf({}, {}, 'HEAD')
  expect([head.status, head.body.length]).toEqual([200, 0])
  expect(head.headers['content-type']).toBe('text/html; charset=utf-8')
})

test('POST / answers 405 with Allow', async () => {
  const post = await answerOf({}, {}, 'POST')
  expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD'])
})

test('GET /index.html answers 404', async () => {
  await using server = await AppServer.start()
  expect((await server.get('/index.html')).status).toBe(404)
})
