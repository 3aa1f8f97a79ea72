import { beforeEach, describe, expect, test } from 'vitest'
import { RunningBuilds } from '../../service/build/running-builds.ts'

let running: RunningBuilds<string>
let builds: number

beforeEach(() => {
  running = new RunningBuilds()
  builds = 0
})

/** Ends at once. */
const build = async () => {
  builds += 1
  return 'image'
}
const endless = () => new Promise<string>(() => {})

test('requests for one image share its build', async () => {
  const gate = Promise.withResolvers<string>()
  const gated = () => {
    builds += 1
    return gate.promise
  }
  const requests = Array.from({ length: 16 }, () => running.join('a', gated))
  gate.resolve('image')
  expect(await Promise.all(requests)).toEqual(Array(16).fill('image'))
  expect(builds).toBe(1)
})

test('a build of one image does not wait for a build of another image', async () => {
  void running.join('a', endless)
  expect(await running.join('b', build)).toBe('image')
})

test('a build that has ended is not joined: the next request builds again', async () => {
  await running.join('a', build)
  await running.join('a', build)
  expect(builds).toBe(2)
})

test('an image is running from the first request until its build ends', async () => {
  const joined = running.join('a', build)
  expect(running.has('a')).toBe(true)
  expect(running.has('b')).toBe(false)
  await joined
  expect(running.has('a')).toBe(false)
})

describe('with 1000 builds running', () => {
  let last: PromiseWithResolvers<string>

  beforeEach(() => {
    for (let index = 0; index < 999; index++) void running.join(`build ${index}`, endless)
    last = Promise.withResolvers()
    running.join('last', () => last.promise)
  })

  test('a request for one more build is answered with overloaded and a time to retry', async () => {
    await expect(running.join('another', build)).rejects.toMatchObject({
      kind: 'overloaded',
      retryAfter: expect.any(Number),
    })
    expect(builds).toBe(0)
  })

  test('a further build starts as soon as one of the 1000 has ended', async () => {
    await expect(running.join('another', build)).rejects.toMatchObject({ kind: 'overloaded' })
    last.resolve('image')
    await running.join('last', build)
    expect(await running.join('another', build)).toBe('image')
  })

  test('a request for one of the running builds joins it', async () => {
    const joined = running.join('last', build)
    last.resolve('image of the last')
    expect(await joined).toBe('image of the last')
    expect(builds).toBe(0)
  })
})
