import { setImmediate } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { StagingSpace } from '../../service/storage/staging-space.ts'

const gigabyte = 1024 ** 3

let free: number
let space: StagingSpace
/** Running work by name, with the function that ends it. */
let running: Map<string, () => void>

beforeEach(() => {
  free = 10 * gigabyte
  space = new StagingSpace({ folder: '/state/layers', free: async () => free })
  running = new Map()
})

/** Reserves space until `end(name)`. */
function hold(name: string, size: number): Promise<void> {
  return space.hold(size, () => new Promise<void>((end) => running.set(name, end)))
}

/** Returns the names of running work, after all pending promises have settled. */
async function started(): Promise<string[]> {
  await setImmediate()
  return [...running.keys()]
}

function end(name: string): void {
  running.get(name)?.()
  running.delete(name)
}

describe('layers', () => {
  test('layers are packed at the same time while the disk has room for all of them', async () => {
    void hold('a', gigabyte)
    void hold('b', gigabyte)
    expect(await started()).toEqual(['a', 'b'])
  })

  test('a layer waits while the layers before it may fill the disk', async () => {
    free = 2 * gigabyte
    void hold('a', gigabyte)
    void hold('b', 1.5 * gigabyte)
    expect(await started()).toEqual(['a'])
    end('a')
    expect(await started()).toEqual(['b'])
  })

  test('layers of no more than 4 GiB in total are packed at a time', async () => {
    free = 1000 * gigabyte
    for (const name of ['a', 'b', 'c']) void hold(name, 2 * gigabyte)
    expect(await started()).toEqual(['a', 'b'])
  })

  test('a layer of more than 4 GiB is packed alone', async () => {
    free = 1000 * gigabyte
    void hold('a', 20 * gigabyte)
    void hold('b', 1)
    expect(await started()).toEqual(['a'])
    end('a')
    expect(await started()).toEqual(['b'])
  })

  test('a small layer does not overtake a large one', async () => {
    free = 3 * gigabyte
    void hold('a', 2 * gigabyte)
    void hold('large', 2 * gigabyte)
    void hold('small', 1)
    expect(await started()).toEqual(['a'])
    end('a')
    expect(await started()).toEqual(['large', 'small'])
  })

  test('a layer for which the disk is too small even alone is refused, with both numbers', async () => {
    free = gigabyte
    await expect(hold('a', 2 * gigabyte)).rejects.toMatchObject({
      kind: 'unavailable',
      retryAfter: 30,
      message:
        'a layer of up to 2048 MiB cannot be packed in /state/layers: 1024 MiB are free there, of which 64 MiB stay free',
    })
  })

  test('layers are packed after one was refused and one failed', async () => {
    free = gigabyte
    const refused = expect(hold('a', 2 * gigabyte)).rejects.toThrow('cannot be packed')
    const failed = expect(
      space.hold(1, async () => {
        throw new Error('cannot be read')
      }),
    ).rejects.toThrow('cannot be read')
    void hold('b', 0.9 * gigabyte)
    await Promise.all([refused, failed])
    expect(await started()).toEqual(['b'])
  })

  test('a layer is not refused because of space that was freed during the measurement', async () => {
    const measurements = [gigabyte, 0.1 * gigabyte, gigabyte]
    const slowMeasurement = Promise.withResolvers<void>()
    const slow = new StagingSpace({
      folder: '/state/layers',
      free: async () => {
        const measured = measurements.shift() ?? 0
        if (measurements.length === 1) await slowMeasurement.promise
        return measured
      },
    })
    const packing = Promise.withResolvers<void>()
    const first = slow.hold(0.9 * gigabyte, () => packing.promise)
    await setImmediate()
    const second = slow.hold(0.5 * gigabyte, async () => 'packed')
    await setImmediate()
    packing.resolve()
    await first
    slowMeasurement.resolve()
    expect(await second).toBe('packed')
    expect(measurements).toEqual([])
  })

  test('a layer is packed when the free space cannot be measured', async () => {
    const unmeasured = new StagingSpace({
      folder: '/state/layers',
      free: async () => {
        throw new Error('no such call')
      },
    })
    expect(await unmeasured.hold(gigabyte, async () => 'packed')).toBe('packed')
  })
})

test('layers that arrive together need one measurement of the disk', async () => {
  let measured = 0
  const watched = new StagingSpace({
    folder: '/state/layers',
    free: async () => {
      measured += 1
      return 10 * gigabyte
    },
  })
  await Promise.all(Array.from({ length: 50 }, () => watched.hold(1000, async () => {})))
  expect(measured).toBe(1)
})

test('bytes that were just written count as used until the next measurement', async () => {
  // Free bytes of each measurement.
  const disk = [2 * gigabyte, 1 * gigabyte]
  const measured: number[] = []
  const watched = new StagingSpace({
    folder: '/state/layers',
    free: async () => {
      measured.push(disk[measured.length] ?? 0)
      return measured.at(-1) ?? 0
    },
  })
  await watched.hold(1.5 * gigabyte, async () => {})
  // By the first measurement alone there would be enough space.
  await expect(watched.hold(1.5 * gigabyte, async () => {})).rejects.toThrow(/free there/)
  expect(measured).toEqual(disk)
})
