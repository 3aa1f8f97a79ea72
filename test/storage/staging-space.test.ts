import { beforeEach, describe, expect, test } from 'vitest'
import { StagingSpace } from '../../service/storage/staging-space.ts'

const gigabyte = 1024 ** 3

let free: number
let space: StagingSpace
/** What runs, and how to end it. */
let running: Map<string, () => void>

beforeEach(() => {
  free = 10 * gigabyte
  space = new StagingSpace({ folder: '/state/layers', free: async () => free })
  running = new Map()
})

/** Holds room until it is ended. */
function hold(name: string, size: number): Promise<void> {
  return space.hold(size, () => new Promise<void>((end) => running.set(name, end)))
}

async function settled(): Promise<string[]> {
  await new Promise((resolve) => setTimeout(resolve, 10))
  return [...running.keys()]
}

function end(name: string): void {
  running.get(name)?.()
  running.delete(name)
}

describe('layers that are packed', () => {
  test('run at once while there is room for all of them', async () => {
    void hold('a', gigabyte)
    void hold('b', gigabyte)
    expect(await settled()).toEqual(['a', 'b'])
  })

  test('wait while those before them may fill the disk', async () => {
    free = 2 * gigabyte
    void hold('a', gigabyte)
    void hold('b', 1.5 * gigabyte)
    expect(await settled()).toEqual(['a'])
    end('a')
    expect(await settled()).toEqual(['b'])
  })

  test('are never more than 4 GiB at a time', async () => {
    free = 1000 * gigabyte
    for (const name of ['a', 'b', 'c']) void hold(name, 2 * gigabyte)
    expect(await settled()).toEqual(['a', 'b'])
  })

  test('run alone when one is larger than that', async () => {
    free = 1000 * gigabyte
    void hold('a', 20 * gigabyte)
    void hold('b', 1)
    expect(await settled()).toEqual(['a'])
    end('a')
    expect(await settled()).toEqual(['b'])
  })

  test('are not overtaken by smaller ones', async () => {
    free = 3 * gigabyte
    void hold('a', 2 * gigabyte)
    void hold('large', 2 * gigabyte)
    void hold('small', 1)
    expect(await settled()).toEqual(['a'])
    end('a')
    expect(await settled()).toEqual(['large', 'small'])
  })

  test('are refused when there is no room even for one alone, with both numbers', async () => {
    free = gigabyte
    await expect(hold('a', 2 * gigabyte)).rejects.toMatchObject({
      kind: 'unavailable',
      retryAfter: 30,
      message:
        'a layer of up to 2048 MiB cannot be packed in /state/layers: 1024 MiB are free there, of which 64 MiB stay free',
    })
  })

  test('go on after one was refused, and after one failed', async () => {
    free = gigabyte
    const refused = expect(hold('a', 2 * gigabyte)).rejects.toThrow('cannot be packed')
    const failed = expect(
      space.hold(1, async () => {
        throw new Error('cannot be read')
      }),
    ).rejects.toThrow('cannot be read')
    void hold('b', 0.9 * gigabyte)
    await Promise.all([refused, failed])
    expect(await settled()).toEqual(['b'])
  })

  test('are not refused for room that was taken when it was measured, and is not any more', async () => {
    free = gigabyte
    let measured = () => {}
    const slow = new StagingSpace({
      folder: '/state/layers',
      free: async () => {
        const now = free
        await new Promise<void>((resolve) => {
          measured = resolve
          if (free === gigabyte) resolve()
        })
        return now
      },
    })
    let leave = () => {}
    const first = slow.hold(0.9 * gigabyte, () => new Promise<void>((end) => (leave = end)))
    await settled()
    free = 0.1 * gigabyte
    const second = slow.hold(0.5 * gigabyte, async () => 'packed')
    await settled()
    leave()
    await first
    free = gigabyte
    measured()
    expect(await second).toBe('packed')
  })

  test('are left to the disk when nobody can tell what is free', async () => {
    const untold = new StagingSpace({
      folder: '/state/layers',
      free: async () => {
        throw new Error('no such call')
      },
    })
    expect(await untold.hold(gigabyte, async () => 'packed')).toBe('packed')
  })
})

test('the layers of an image, which come at once, have the disk measured once', async () => {
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

test('what was just written and left counts as taken, until it is measured', async () => {
  // The disk that each measurement finds, the first one 2 GiB.
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
  // By the first measurement alone there would be room for it.
  await expect(watched.hold(1.5 * gigabyte, async () => {})).rejects.toThrow(/free there/)
  expect(measured).toEqual(disk)
})
