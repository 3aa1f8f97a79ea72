/** Programs that a measurement runs: ended when the measurement is, with all that they have started. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

/** Milliseconds that a daemon may take to end. */
const gracePeriod = 5000

export interface RunOptions {
  readonly signal: AbortSignal
  /** On top of this process's own. */
  readonly env?: Record<string, string>
  readonly cwd?: string
}

/**
 * What the program writes to its standard output.
 * @throws Error with the end of what it complained about; the reason of the signal
 */
export async function run(
  program: string,
  args: readonly string[],
  { signal, env, cwd }: RunOptions,
): Promise<string> {
  signal.throwIfAborted()
  const child = startGroup(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  })
  const stop = () => endGroup(child, 'SIGTERM')
  signal.addEventListener('abort', stop)
  try {
    const { stdout, stderr } = child
    const [answer, complaint, [code, killedBy]] = await Promise.all([
      stdout ? text(stdout) : '',
      stderr ? text(stderr) : '',
      once(child, 'close'),
    ])
    signal.throwIfAborted()
    if (code === 0) return answer
    throw new Error(`${program} ended with ${code ?? killedBy}: ${complaint.trim().slice(-1000)}`)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** A program that runs until it is ended. */
export class Daemon implements AsyncDisposable {
  readonly child: ChildProcess

  /** @param environment all that it sees */
  constructor(program: string, args: readonly string[], environment: Record<string, string>) {
    this.child = startGroup(program, args, { stdio: 'ignore', env: environment })
    // Whoever waits for its answers learns of it.
    this.child.on('error', () => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { child } = this
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'close')
    endGroup(child, 'SIGTERM')
    const timer = setTimeout(() => endGroup(child, 'SIGKILL'), gracePeriod)
    await ended
    clearTimeout(timer)
  }
}

/** In a process group of its own: a pipeline has several processes. */
function startGroup(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn(program, args, { ...options, detached: true })
}

function endGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    // It has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
