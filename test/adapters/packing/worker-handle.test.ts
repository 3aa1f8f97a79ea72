import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SharedChunks } from '../../../service/adapters/packing/shared-chunks.ts'
import { WorkerHandle } from '../../../service/adapters/packing/worker-handle.ts'
import { PackingFolder } from '../../support/packing-folder.ts'

let folder: PackingFolder
let worker: WorkerHandle

beforeEach(() => {
  folder = new PackingFolder()
  worker = new WorkerHandle({
    settings: { compression: 'gzip' },
    onStarted: () => {},
    onExit: () => {},
  })
})

afterEach(async () => {
  await worker.terminate()
  folder[Symbol.dispose]()
})

test('a helper that dies is reported to the owner of the layer', async () => {
  const chunks = SharedChunks.create()
  const report = vi.spyOn(chunks, 'reportDeadHelper')
  const helping = worker.help(chunks)
  await vi.waitUntil(() => chunks.hasHelpers)
  await worker.terminate()
  expect(await helping).toBe(false)
  expect(report).toHaveBeenCalledTimes(1)
})

test('a helper leaves when the layer is packed', async () => {
  const chunks = SharedChunks.create()
  const helping = worker.help(chunks)
  chunks.close()
  expect(await helping).toBe(true)
})

test('a job that fails tells the error code of the system', async () => {
  rmSync(folder.staging, { recursive: true })
  const job = {
    content: { kind: 'store-paths', paths: [] },
    storeFolder: folder.store,
    path: join(folder.staging, 'layer'),
  } as const
  expect(await worker.pack(job, () => {})).toMatchObject({ ok: false, code: 'ENOENT' })
})
