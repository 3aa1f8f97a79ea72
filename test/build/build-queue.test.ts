import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { BuildQueue } from '../../service/build/build-queue.ts'
import { Failure } from '../../service/image/errors.ts'

let queue: BuildQueue<string>
let builds: number

beforeEach(() => {
  queue = new BuildQueue()
  builds = 0
})

const failing = (error: Error) => async () => {
  builds += 1
  throw error
}
const succeeding = async () => {
  builds += 1
  return 'image'
}
const never = () => new Promise<string>(() => {})

test('those who ask for a key while it is built share the build', async () => {
  const gate = Promise.withResolvers<string>()
  const build = () => {
    builds += 1
    return gate.promise
  }
  const waiting = Array.from({ length: 16 }, () => queue.join('a', 'pull', build))
  gate.resolve('image')
  expect(await Promise.all(waiting)).toEqual(Array(16).fill('image'))
  expect(builds).toBe(1)
})

test('keys are built side by side', async () => {
  const first = queue.join('a', 'pull', never)
  expect(await queue.join('b', 'pull', succeeding)).toBe('image')
  expect(first).toBeInstanceOf(Promise)
})

test('a build that has ended is not remembered: what it made is in storage', async () => {
  await queue.join('a', 'pull', succeeding)
  await queue.join('a', 'pull', succeeding)
  expect(builds).toBe(2)
})

describe('a failure', () => {
  let milliseconds: number

  beforeEach(() => {
    milliseconds = 1000
    // The cache holds on to the true performance, which fake timers would replace.
    vi.spyOn(performance, 'now').mockImplementation(() => milliseconds)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  function pass(duration: number): void {
    milliseconds += duration
    vi.advanceTimersByTime(duration)
  }

  const broken = new Failure('build-failed', 'hello does not build')

  test('is shared by those who ask within 30 seconds', async () => {
    await expect(queue.join('a', 'pull', failing(broken))).rejects.toBe(broken)
    pass(29_000)
    await expect(queue.join('a', 'pull', succeeding)).rejects.toBe(broken)
    expect(builds).toBe(1)
  })

  test('is tried again after 30 seconds', async () => {
    await expect(queue.join('a', 'pull', failing(broken))).rejects.toBe(broken)
    pass(31_000)
    expect(await queue.join('a', 'pull', succeeding)).toBe('image')
  })

  test('does not last longer because somebody asks', async () => {
    await expect(queue.join('a', 'pull', failing(broken))).rejects.toBe(broken)
    pass(20_000)
    await expect(queue.join('a', 'pull', succeeding)).rejects.toBe(broken)
    pass(11_000)
    expect(await queue.join('a', 'pull', succeeding)).toBe('image')
  })

  test('that took long to find out is remembered as long', async () => {
    const slow = async () => {
      pass(600_000)
      throw broken
    }
    await expect(queue.join('a', 'pull', slow)).rejects.toBe(broken)
    pass(590_000)
    await expect(queue.join('a', 'pull', succeeding)).rejects.toBe(broken)
    pass(20_000)
    expect(await queue.join('a', 'pull', succeeding)).toBe('image')
  })

  test('of what is out of reach is shared by the requests of one pull only', async () => {
    const away = new Failure('unavailable', 'no answer')
    await expect(queue.join('a', 'pull', failing(away))).rejects.toBe(away)
    pass(1000)
    await expect(queue.join('a', 'pull', succeeding)).rejects.toBe(away)
    pass(3000)
    expect(await queue.join('a', 'pull', succeeding)).toBe('image')
  })

  test('of one key is none of another', async () => {
    await expect(queue.join('a', 'pull', failing(broken))).rejects.toBe(broken)
    expect(await queue.join('b', 'pull', succeeding)).toBe('image')
  })

  test('of the service itself is not remembered', async () => {
    const error = new Error('a bug')
    await expect(queue.join('a', 'pull', failing(error))).rejects.toBe(error)
    expect(await queue.join('a', 'pull', succeeding)).toBe('image')
  })
})

describe('with 1000 builds under way', () => {
  beforeEach(() => {
    for (let index = 0; index < 1000; index++) void queue.join(`build ${index}`, 'pull', never)
  })

  test('a further one is refused, with a time to come back', async () => {
    await expect(queue.join('another', 'pull', succeeding)).rejects.toMatchObject({
      kind: 'overloaded',
      retryAfter: expect.any(Number),
    })
    expect(builds).toBe(0)
  })

  test('the refusal is not remembered as the failure of the image', async () => {
    const gate = Promise.withResolvers<string>()
    queue = new BuildQueue()
    for (let index = 0; index < 999; index++) void queue.join(`build ${index}`, 'pull', never)
    const last = queue.join('last', 'pull', () => gate.promise)
    await expect(queue.join('another', 'pull', succeeding)).rejects.toMatchObject({
      kind: 'overloaded',
    })
    gate.resolve('image')
    await last
    expect(await queue.join('another', 'pull', succeeding)).toBe('image')
  })

  test('who asks for one of them still joins it', async () => {
    const joined = queue.join('build 7', 'pull', succeeding)
    const outcome = await Promise.race([joined, Promise.resolve('still waiting')])
    expect(outcome).toBe('still waiting')
    expect(builds).toBe(0)
  })
})
