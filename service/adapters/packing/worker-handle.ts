/** Handle of a packing worker. The worker does one job at a time. */
import { Worker } from 'node:worker_threads'
import { messageOf } from '../../image/errors.ts'
import { SharedChunks } from './shared-chunks.ts'
import type {
  MessageFromWorker,
  MessageToWorker,
  PackJob,
  PackOutcome,
  WorkerSettings,
  WorkerStarted,
} from './worker-messages.ts'

/**
 * Mebibytes that V8 allocates between two garbage collections. A worker allocates little in V8 itself, but buffers
 * stay until the next collection: with the default, two workers take 80 MB more.
 */
const maxYoungGenerationSizeMb = 1

/** The worker's answer to a request, or its end. */
type Answer =
  | Exclude<MessageFromWorker, { kind: 'started' | 'large' }>
  | { readonly kind: 'exited'; readonly failure: string }

export interface WorkerHandleOptions {
  readonly settings: WorkerSettings
  readonly onStarted: (started: WorkerStarted) => void
  /** Called once, when the thread has ended for any cause. */
  readonly onExit: () => void
}

export class WorkerHandle {
  readonly #worker: Worker
  #onLarge: (chunks: SharedChunks) => void = () => {}
  #answer: ((answer: Answer) => void) | undefined

  constructor({ settings, onStarted, onExit }: WorkerHandleOptions) {
    this.#worker = new Worker(new URL('worker.ts', import.meta.url), {
      name: 'packing',
      workerData: settings,
      resourceLimits: { maxYoungGenerationSizeMb },
    })
    // An idle worker does not keep the process alive.
    this.#worker.unref()
    this.#worker.on('message', (message: MessageFromWorker) => {
      if (message.kind === 'started') onStarted(message)
      else if (message.kind === 'large') {
        this.#onLarge(SharedChunks.open(message.memory, message.layerNumber))
      } else this.#answer?.(message)
    })
    let failure = 'it was terminated'
    this.#worker.on('error', (error) => {
      failure = messageOf(error)
    })
    this.#worker.on('exit', () => {
      onExit()
      this.#answer?.({ kind: 'exited', failure })
    })
  }

  /**
   * Packs a layer. Never rejects: if the worker dies, the job has failed.
   * @param onLarge called at most once, with the chunks that other workers may help with until the layer is packed
   */
  async pack(job: PackJob, onLarge: (chunks: SharedChunks) => void): Promise<PackOutcome> {
    this.#onLarge = onLarge
    const answer = await this.#request({ kind: 'pack', job })
    if (answer.kind === 'packed') return answer.outcome
    const failure = answer.kind === 'exited' ? answer.failure : `it answered "${answer.kind}"`
    return { ok: false, message: `the packing worker ended: ${failure}`, code: undefined }
  }

  /**
   * Helps with a layer until it is packed or this worker is dismissed.
   * @returns false if the worker could not compress a chunk, or died
   */
  async help(chunks: SharedChunks): Promise<boolean> {
    const { memory, layerNumber } = chunks
    const answer = await this.#request({ kind: 'help', memory, layerNumber })
    if (answer.kind === 'exited') chunks.reportDeadHelper()
    return answer.kind === 'helped' && !answer.isFailed
  }

  /** Ends the thread at once, even in the middle of a job. */
  async terminate(): Promise<void> {
    // Otherwise a process with nothing else to do exits before the promise resolves.
    this.#worker.ref()
    await this.#worker.terminate()
  }

  async #request(message: MessageToWorker): Promise<Answer> {
    this.#worker.ref()
    try {
      return await new Promise((resolve) => {
        this.#answer = resolve
        this.#worker.postMessage(message)
      })
    } finally {
      this.#answer = undefined
      this.#worker.unref()
    }
  }
}
