/** A packing thread: does one job after the other. */
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '../../image/errors.ts'
import { linkFarmEntries } from '../link-farm/link-farm.ts'
import { storeEntries } from '../tar/store-tree.ts'
import { findCompressor } from './compressor.ts'
import type { Equipment, Job, Order, Outcome, Packed, Report } from './job.ts'
import { packEntries } from './pack-entries.ts'
import { SharedPieces } from './shared-pieces.ts'

/** Requests come first. On Linux this counts for the calling thread alone. */
const niceness = 5
if (process.platform === 'linux') setPriority(niceness)

const compressor = await findCompressor((workerData as Equipment).compression)
report({ kind: 'started', compressor: compressor.name })

/** Memory for one large layer after the other: it is some megabytes. */
let memory: SharedArrayBuffer | undefined

parentPort?.on('message', (order: Order) => {
  switch (order.kind) {
    case 'pack':
      return report({ kind: 'packed', outcome: outcomeOf(order.job) })
    case 'help':
      return report({ kind: 'helped', worked: help(new SharedPieces(order.pieces, order.layer)) })
    case 'end':
      compressor.close?.()
      parentPort?.close()
  }
})

function report(message: Report): void {
  parentPort?.postMessage(message)
}

function share(): SharedPieces {
  const pieces = new SharedPieces(memory)
  memory = pieces.memory
  report({ kind: 'large', pieces: memory, layer: pieces.layer })
  return pieces
}

/** @returns whether it could help: who packs the layer meets the same failure, or none */
function help(pieces: SharedPieces): boolean {
  try {
    pieces.help((piece) => compressor.compress(piece))
    return true
  } catch {
    return false
  }
}

function outcomeOf(job: Job): Outcome {
  try {
    return { ok: true, packed: pack(job) }
  } catch (error) {
    // Somebody may still be at work there.
    memory = undefined
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    return { ok: false, message: messageOf(error), code }
  }
}

function pack({ content, storeFolder, path, md5 = false }: Job): Packed {
  const options = { md5, share }
  if (content.kind === 'store-paths') {
    const entries = storeEntries(content.paths, storeFolder)
    return { layer: packEntries(entries, compressor, path, options), collisions: [] }
  }
  const { entries, collisions } = linkFarmEntries(content.linkFarm, storeFolder)
  return { layer: packEntries(entries, compressor, path, options), collisions }
}
