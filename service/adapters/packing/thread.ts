/** A packing thread: does one job after the other. */
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '../../domain/errors.ts'
import { forestEntries } from '../root-forest.ts'
import { storeEntries } from '../tar/store-tree.ts'
import { findCompressor } from './compressor.ts'
import type { Equipment, Job, Outcome, Packed, Started } from './job.ts'
import { packEntries } from './pack-entries.ts'

/** Requests come first. On Linux this counts for the calling thread alone. */
const niceness = 5
if (process.platform === 'linux') setPriority(niceness)

const compressor = await findCompressor((workerData as Equipment).compression)
parentPort?.postMessage({ compressor: compressor.name } satisfies Started)

parentPort?.on('message', (job: Job) => {
  parentPort?.postMessage(outcomeOf(job))
})

function outcomeOf(job: Job): Outcome {
  try {
    return { ok: true, packed: pack(job) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    return { ok: false, message: messageOf(error), code }
  }
}

function pack({ content, storeFolder, path, md5 = false }: Job): Packed {
  if (content.kind === 'store-paths') {
    const entries = storeEntries(content.paths, storeFolder)
    return { layer: packEntries(entries, compressor, path, { md5 }), collisions: [] }
  }
  const { entries, collisions } = forestEntries(content.forest, storeFolder)
  return { layer: packEntries(entries, compressor, path, { md5 }), collisions }
}
