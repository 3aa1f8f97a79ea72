/** Runs programs for benchmarks. An abort ends a program and all processes that it has started. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

export interface RunOptions {
  readonly signal: AbortSignal
  /** Variables in addition to those of this process. */
  readonly env?: Record<string, string>
  readonly cwd?: string
}

/**
 * Runs a program and returns its stdout.
 * @throws Error with the end of its stderr, if it fails; the reason of the signal, if that is aborted
 */
export async function run(
  program: string,
  args: readonly string[],
  { signal, env, cwd }: RunOptions,
): Promise<string> {
  signal.throwIfAborted()
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    // A process group of its own, so that `endGroup` reaches all processes of a pipeline.
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
  })
  const stop = () => endGroup(child)
  signal.addEventListener('abort', stop)
  try {
    const [stdout, stderr, [code, killedBy]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ])
    signal.throwIfAborted()
    if (code === 0) return stdout
    throw new Error(`${program} ended with ${code ?? killedBy}: ${stderr.trim().slice(-1000)}`)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGTERM')
  } catch (error) {
    // ESRCH: the program has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
