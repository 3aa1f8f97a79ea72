/** A packing thread: does one job after the other. */
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { messageOf } from '../../domain/errors.ts'
import { forestEntries } from '../root-forest.ts'
import { storeEntries } from '../tar/store-tree.ts'
import type { Job, Outcome, Packed } from './job.ts'
import { packEntries } from './pack-entries.ts'

/** Requests come first. On Linux this counts for the calling thread and its children alone. */
const niceness = 5
if (process.platform === 'linux') setPriority(niceness)

parentPort?.on('message', async (job: Job) => {
  parentPort?.postMessage(await outcomeOf(job))
})

async function outcomeOf(job: Job): Promise<Outcome> {
  try {
    return { ok: true, packed: await pack(job) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    return { ok: false, message: messageOf(error), code }
  }
}

async function pack({ content, storeFolder, compressor, path, md5 = false }: Job): Promise<Packed> {
  if (content.kind === 'store-paths') {
    const entries = storeEntries(content.paths, storeFolder)
    return { layer: await packEntries(entries, compressor, path, { md5 }), collisions: [] }
  }
  const { entries, collisions } = forestEntries(content.forest, storeFolder)
  return { layer: await packEntries(entries, compressor, path, { md5 }), collisions }
}
