import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SharedChunks } from '../../../service/adapters/packing/shared-chunks.ts'
import {
  WorkerHandle,
  type WorkerHandleOptions,
} from '../../../service/adapters/packing/worker-handle.ts'
import type { PackJob, PackOutcome } from '../../../service/adapters/packing/worker-messages.ts'
import {
  WorkerPool,
  type WorkerPoolOptions,
} from '../../../service/adapters/packing/worker-pool.ts'
import { PackingFolder } from '../../support/packing-folder.ts'

let pool: WorkerPool

afterEach(() => pool.close())

describe('scheduling', () => {
  const failed: PackOutcome = { ok: false, message: 'failed', code: undefined }

  /** A worker whose work ends when the test says so. */
  class FakeWorker {
    readonly #options: WorkerHandleOptions
    job: string | undefined
    isTerminated = false
    #onLarge: (chunks: SharedChunks) => void = () => {}
    #finish: (outcome: PackOutcome) => void = () => {}
    #leave: ((hasWorked: boolean) => void) | undefined

    constructor(options: WorkerHandleOptions) {
      this.#options = options
    }

    pack(job: PackJob, onLarge: (chunks: SharedChunks) => void): Promise<PackOutcome> {
      this.job = job.path
      this.#onLarge = onLarge
      return new Promise((resolve) => {
        this.#finish = resolve
      })
    }

    help(chunks: SharedChunks): Promise<boolean> {
      return new Promise((resolve) => {
        this.#leave = resolve
        helped.push(chunks)
      })
    }

    async terminate(): Promise<void> {
      this.isTerminated = true
      this.#options.onExit()
      this.#finish(failed)
    }

    /** Reports that the layer of the job is large. */
    reportLarge(): SharedChunks {
      const chunks = SharedChunks.create()
      this.#onLarge(chunks)
      return chunks
    }

    async finish(): Promise<void> {
      this.job = undefined
      this.#finish(failed)
      await settled()
    }

    async leave(hasWorked = true): Promise<void> {
      this.#leave?.(hasWorked)
      this.#leave = undefined
      await settled()
    }

    get isHelping(): boolean {
      return this.#leave !== undefined
    }
  }

  let workers: FakeWorker[]
  /** The chunks for which a worker was sent to help, in order. */
  let helped: SharedChunks[]

  /** Waits until all promises that can settle without a timer have settled. */
  const settled = () => new Promise((resolve) => setImmediate(resolve))

  function createPool(concurrency: number, options: Partial<WorkerPoolOptions> = {}): void {
    workers = []
    helped = []
    pool = new WorkerPool({
      concurrency,
      settings: { compression: 'gzip' },
      startWorker: (handle) => {
        const worker = new FakeWorker(handle)
        workers.push(worker)
        return worker
      },
      ...options,
    })
  }

  async function run(...names: string[]): Promise<void> {
    for (const path of names) {
      void pool.run({
        content: { kind: 'store-paths', paths: [] },
        storeFolder: '/nix/store',
        path,
      })
    }
    await settled()
  }

  /** Starts workers and leaves them idle. */
  async function startIdle(count: number): Promise<void> {
    await run(...Array.from({ length: count }, (_, index) => `warm-up ${index}`))
    for (const worker of workers) await worker.finish()
    expect(pool.size).toBe(count)
  }

  const workerOf = (job: string) => workers.find((worker) => worker.job === job) as FakeWorker
  const jobs = () => workers.flatMap(({ job }) => job ?? [])

  test('the pool runs as many jobs at a time as its concurrency allows, in order', async () => {
    createPool(2)
    await run('1', '2', '3', '4')
    expect(jobs()).toEqual(['1', '2'])
    await workerOf('2').finish()
    expect(jobs()).toEqual(['1', '3'])
    await workerOf('1').finish()
    expect(jobs()).toEqual(['4', '3'])
    expect(pool.size).toBe(2)
  })

  test('a job goes to the idle worker that was used last', async () => {
    createPool(2)
    await run('1', '2')
    await workerOf('2').finish()
    await workerOf('1').finish()
    await run('3')
    expect(workers.map(({ job }) => job)).toEqual(['3', undefined])
  })

  test('a large layer gets at most seven helpers, and other workers stay idle', async () => {
    createPool(9)
    await startIdle(9)
    await run('large')
    const chunks = workerOf('large').reportLarge()
    expect(helped.filter((help) => help === chunks)).toHaveLength(7)
    expect(pool.helping).toBe(7)
    expect(workers.filter(({ isHelping }) => isHelping)).toHaveLength(7)
  })

  test('a helper goes to the large layer with the fewest helpers', async () => {
    createPool(4)
    await startIdle(4)
    await run('one', 'other')
    const one = workerOf('one').reportLarge()
    const other = workerOf('other').reportLarge()
    const helper = workers.find(({ isHelping }) => isHelping)
    await helper?.leave()
    const layers = helped.map((chunks) => (chunks === other ? 'other' : chunks === one && 'one'))
    expect(layers).toEqual(['one', 'one', 'other'])
  })

  test('a worker that has finished its job helps with a large layer', async () => {
    createPool(2)
    await run('large', 'small')
    const chunks = workerOf('large').reportLarge()
    expect(helped).toEqual([])
    await workerOf('small').finish()
    expect(helped[0]).toBe(chunks)
  })

  test('a waiting job gets a helper of a large layer, which helps again afterwards', async () => {
    createPool(2)
    await startIdle(2)
    await run('large')
    const chunks = workerOf('large').reportLarge()
    const dismiss = vi.spyOn(chunks, 'dismissHelper')
    await run('small')
    expect(dismiss).toHaveBeenCalledTimes(1)
    expect(jobs()).toEqual(['large'])
    const [helper] = workers.filter(({ isHelping }) => isHelping)
    await helper?.leave()
    expect(helper?.job).toBe('small')
    expect(pool.helping).toBe(0)
    await helper?.finish()
    expect(helped).toHaveLength(2)
    expect(helped[1]).toBe(chunks)
  })

  test('each waiting job dismisses one helper', async () => {
    createPool(3)
    await startIdle(3)
    await run('large')
    const dismiss = vi.spyOn(workerOf('large').reportLarge(), 'dismissHelper')
    await run('1', '2')
    expect(dismiss).toHaveBeenCalledTimes(2)
  })

  test('a large layer gets no more helpers after one could not compress a chunk', async () => {
    createPool(3)
    await run('large', 'small')
    const chunks = workerOf('large').reportLarge()
    await workerOf('small').finish()
    expect(helped[0]).toBe(chunks)
    await workers.find(({ isHelping }) => isHelping)?.leave(false)
    expect(helped).toHaveLength(1)
  })

  test('a packed layer gets no helpers', async () => {
    createPool(2)
    await run('large', 'small')
    const chunks = workerOf('large').reportLarge()
    await workerOf('large').finish()
    expect(chunks.isOpen).toBe(false)
    await workerOf('small').finish()
    expect(helped).toEqual([])
  })

  test('a waiting job gets a new worker if a worker dies', async () => {
    createPool(1)
    await startIdle(1)
    await run('1', '2')
    await workerOf('1').terminate()
    await settled()
    expect(workers.map(({ job }) => job)).toEqual(['1', '2'])
    expect(pool.size).toBe(1)
  })

  test('an idle worker is terminated after the idle time', async () => {
    createPool(1, { idleTime: 1 })
    await startIdle(1)
    await vi.waitUntil(() => pool.size === 0)
    expect(workers[0]?.isTerminated).toBe(true)
  })

  test('a prepared worker runs the first job', async () => {
    createPool(2)
    pool.prepare()
    pool.prepare()
    expect(workers).toHaveLength(1)
    await run('1')
    expect(jobs()).toEqual(['1'])
    expect(workers).toHaveLength(1)
  })

  test('a closed pool terminates its workers and fails all jobs', async () => {
    createPool(1)
    await run('1', '2')
    await pool.close()
    expect(workers[0]?.isTerminated).toBe(true)
    const job = {
      content: { kind: 'store-paths', paths: [] },
      storeFolder: '/',
      path: '3',
    } as const
    expect(await pool.run(job)).toMatchObject({ ok: false, message: /shutting down/ })
    expect(jobs()).toEqual(['1'])
  })
})

describe('with threads', () => {
  let folder: PackingFolder
  /** Resolves when a worker begins to help. */
  let helping: PromiseWithResolvers<void>

  beforeEach(() => {
    folder = new PackingFolder()
    helping = Promise.withResolvers()
  })

  afterEach(async () => {
    await pool.close()
    folder[Symbol.dispose]()
  })

  function createPool(concurrency: number, options: Partial<WorkerPoolOptions> = {}): WorkerPool {
    pool = new WorkerPool({
      concurrency,
      settings: { compression: 'zstd' },
      startWorker: (handle) => {
        const worker = new WorkerHandle(handle)
        return {
          pack: (job, onLarge) => worker.pack(job, onLarge),
          help: (chunks) => {
            helping.resolve()
            return worker.help(chunks)
          },
          terminate: () => worker.terminate(),
        }
      },
      ...options,
    })
    return pool
  }

  function job(name: string, storePath = 'a'): PackJob {
    return {
      content: { kind: 'store-paths', paths: [`/nix/store/${storePath}`] },
      storeFolder: folder.store,
      path: join(folder.staging, name),
    }
  }

  /** Creates the store path `large` of 2 GB: a hole of zeros, which takes no space on the disk. */
  function addLarge(): string {
    const path = join(folder.store, 'large')
    writeFileSync(path, '')
    truncateSync(path, 2e9)
    return path
  }

  /** Starts two threads and leaves them idle. */
  const startTwo = () => Promise.all(['1', '2'].map((name) => pool.run(job(name))))

  test('the pool packs further layers after a layer with a helper has failed', async () => {
    const large = addLarge()
    createPool(2)
    await startTwo()
    const packing = pool.run(job('failing', 'large'))
    await helping.promise
    truncateSync(large, 1)
    expect(await packing).toMatchObject({ ok: false, message: expect.stringMatching(/changed/) })
    const jobs = await Promise.all([pool.run(job('3')), pool.run(job('4'))])
    expect(jobs).toMatchObject([{ ok: true }, { ok: true }])
  })

  test('a layer with a helper fails if the pool is closed', async () => {
    addLarge()
    createPool(2)
    await startTwo()
    const packing = pool.run(job('closed', 'large'))
    await helping.promise
    await pool.close()
    expect(await packing).toMatchObject({
      ok: false,
      message: 'the packing worker ended: it was terminated',
    })
    expect(pool.size).toBe(0)
  })

  test('each worker reports its compressor', async () => {
    const onStarted = vi.fn()
    createPool(2, { onStarted })
    await startTwo()
    const started = { kind: 'started', compressor: 'zlib zstd -2', unusedLibraries: [] }
    expect(onStarted.mock.calls).toEqual([[started], [started]])
  })
})
