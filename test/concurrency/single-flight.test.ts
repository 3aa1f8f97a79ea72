import { expect, test } from 'vitest'
import { SingleFlight } from '../../service/concurrency/single-flight.ts'

test('a key is free again when its work has succeeded or failed', async () => {
  const flights = new SingleFlight<number>()
  const run = flights.run('a', async () => 1)
  expect(flights.has('a')).toBe(true)
  expect(flights.size).toBe(1)
  expect(await run).toBe(1)
  expect(flights.has('a')).toBe(false)
  await expect(flights.run('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(flights.size).toBe(0)
  expect(await flights.run('a', async () => 2)).toBe(2)
})

test('`ended` waits for all running work, also for work that fails', async () => {
  const flights = new SingleFlight<number>()
  const [good, bad] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()]
  const runs = [flights.run('a', () => good.promise), flights.run('b', () => bad.promise)]
  const order: string[] = []
  for (const run of runs) run.then(() => order.push('done')).catch(() => order.push('failed'))
  const ended = flights.ended().then(() => order.push('ended'))
  good.resolve(1)
  await runs[0]
  bad.reject(new Error('no'))
  await ended
  expect(order).toEqual(['done', 'failed', 'ended'])
  await flights.ended()
})

test('a caller that joins running work gets its result and starts nothing', async () => {
  const flights = new SingleFlight<number>()
  const work = Promise.withResolvers<number>()
  const first = flights.run('a', () => work.promise)
  const second = flights.run('a', () => Promise.reject(new Error('a second run')))
  work.resolve(1)
  expect(await Promise.all([first, second])).toEqual([1, 1])
})
