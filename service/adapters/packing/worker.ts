/** Entry point of a packing worker: a thread that runs one job after the other. */
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '../../image/errors.ts'
import { linkFarmEntries } from '../link-farm/link-farm-entries.ts'
import { storeEntries } from '../tar/store-entries.ts'
import { selectCompressor } from './compressor.ts'
import { SharedChunks } from './shared-chunks.ts'
import type {
  MessageFromWorker,
  MessageToWorker,
  Packed,
  PackJob,
  PackOutcome,
  WorkerSettings,
} from './worker-messages.ts'
import { writeLayerFile } from './write-layer-file.ts'

/** Serving requests is more important than packing. On Linux this sets the priority of the calling thread alone. */
const niceness = 5
if (process.platform === 'linux') setPriority(niceness)

const { compression } = workerData as WorkerSettings
const { compressor, unusedLibraries } = await selectCompressor(compression)
send({ kind: 'started', compressor: compressor.name, unusedLibraries })

/** Memory for the chunks of large layers, some megabytes: it is used for one layer after the other. */
let sharedMemory: SharedArrayBuffer | undefined

parentPort?.on('message', (message: MessageToWorker) => {
  if (message.kind === 'pack') send({ kind: 'packed', outcome: pack(message.job) })
  else {
    const chunks = SharedChunks.open(message.memory, message.layerNumber)
    send({ kind: 'helped', isFailed: !help(chunks) })
  }
})

function send(message: MessageFromWorker): void {
  parentPort?.postMessage(message)
}

/** Returns false if a chunk could not be compressed; the owner of the layer then compresses it again. */
function help(chunks: SharedChunks): boolean {
  try {
    chunks.help((chunk) => compressor.compress(chunk))
    return true
  } catch {
    return false
  }
}

function pack(job: PackJob): PackOutcome {
  try {
    return { ok: true, packed: writeLayer(job) }
  } catch (error) {
    // A helper may still write to the shared memory.
    sharedMemory = undefined
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    return { ok: false, message: messageOf(error), code }
  }
}

function writeLayer({ content, storeFolder, path, md5 = false }: PackJob): Packed {
  const options = { md5, requestHelp }
  if (content.kind === 'store-paths') {
    const entries = storeEntries(content.paths, storeFolder)
    return { layer: writeLayerFile(entries, compressor, path, options), collisions: [] }
  }
  const { entries, collisions } = linkFarmEntries(content.linkFarm, storeFolder)
  return { layer: writeLayerFile(entries, compressor, path, options), collisions }
}

function requestHelp(): SharedChunks {
  const chunks = SharedChunks.create(sharedMemory)
  sharedMemory = chunks.memory
  send({ kind: 'large', memory: sharedMemory, layerNumber: chunks.layerNumber })
  return chunks
}
