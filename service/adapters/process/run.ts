/**
 * Runs a program together with all programs that it starts, as one process group. Ending only the first
 * process is not enough: `git fetch` then leaves its `git remote-https` behind.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { endGroup } from './end-group.ts'
import { LineSplitter } from './line-splitter.ts'

/** Milliseconds between SIGTERM and SIGKILL. Git removes its lock files in that time. */
const terminationGrace = 3000
/** Milliseconds to wait for the end of the output: a process that left the group may hold the pipe for ever. */
const drainLimit = 1000
/** Characters of stderr that are kept. */
const stderrKept = 64 * 1024
const defaultMaxStdout = 256 * 1024 * 1024

export interface RunOptions {
  /** The whole environment: the program inherits no variable of the service. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Text for stdin, which is empty otherwise. */
  readonly input?: string | Uint8Array
  /** Milliseconds for the whole run. */
  readonly timeout?: number
  /** Milliseconds without a byte on stdout or stderr. */
  readonly idleTimeout?: number
  readonly signal?: AbortSignal
  /** Called with each line of stderr, without its line break, as soon as the line is complete. */
  readonly onStderrLine?: (line: string) => void
  /** Most bytes of stdout. A program that writes more is ended, and the run fails. @default 256 MiB */
  readonly maxStdout?: number
}

export interface RunResult {
  /** Undefined if a signal ended the program. */
  readonly exitCode: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  /** The last 64 KiB at most. */
  readonly stderr: string
  /** The time-out that ended the run, if one did. */
  readonly timedOut: 'timeout' | 'idle' | undefined
}

/**
 * Runs a program and waits until no process of its group is left. Bytes that are not UTF-8 are replaced.
 * A program that fails is a result, not an error.
 * @throws the reason of the signal, if that is aborted; Error if the program cannot be started or writes
 *   more than `maxStdout`. No message contains arguments: they may contain a secret.
 */
export async function runInGroup(
  file: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const { signal, maxStdout = defaultMaxStdout } = options
  const { program, group } = await start(file, args, options)
  const { nodeChildProcess, stdout, stderr } = program

  let timedOut: RunResult['timedOut']
  let isEnding = false
  const end = (): void => {
    if (!isEnding) program.kill()
    isEnding = true
  }
  const startTimer = (which: 'timeout' | 'idle', milliseconds: number | undefined) => {
    if (milliseconds === undefined) return undefined
    return setTimeout(() => {
      timedOut ??= which
      end()
    }, milliseconds)
  }
  const timer = startTimer('timeout', options.timeout)
  const idleTimer = startTimer('idle', options.idleTimeout)

  const pieces: Buffer[] = []
  let stdoutSize = 0
  stdout.on('data', (piece: Buffer) => {
    idleTimer?.refresh()
    stdoutSize += piece.length
    if (stdoutSize <= maxStdout) pieces.push(piece)
    else end()
  })
  let stderrEnd = ''
  const lines = options.onStderrLine && new LineSplitter(options.onStderrLine)
  stderr.setEncoding('utf8').on('data', (text: string) => {
    idleTimer?.refresh()
    stderrEnd = (stderrEnd + text).slice(-stderrKept)
    lines?.push(text)
  })

  await new Promise((resolve) => nodeChildProcess.once('exit', resolve))
  clearTimeout(timer)
  clearTimeout(idleTimer)
  await endGroup(group, terminationGrace)
  await Promise.race([program, delay(drainLimit, undefined, { ref: false })])
  stdout.destroy()
  stderr.destroy()
  const { exitCode, signal: endedBy } = await program
  lines?.end()

  signal?.throwIfAborted()
  if (stdoutSize > maxStdout) throw new Error(`${file} wrote more than ${maxStdout} bytes`)
  return {
    exitCode,
    signal: endedBy,
    stdout: Buffer.concat(pieces).toString('utf8'),
    stderr: stderrEnd,
    timedOut,
  }
}

/** Starts a program in a process group of its own. Returns it with the id of the group. */
async function start(file: string, args: readonly string[], options: RunOptions) {
  const { env, cwd, input, signal } = options
  // Imported with the first program, because execa is large. Other modules are loaded at the same time.
  const { execa } = await import('execa')
  signal?.throwIfAborted()
  try {
    const program = execa(file, args, {
      env,
      extendEnv: false,
      ...(cwd === undefined ? {} : { cwd }),
      ...(input === undefined ? { stdin: 'ignore' } : { input }),
      ...(signal === undefined ? {} : { cancelSignal: signal }),
      // Starts a process group, and signals all of it.
      killDescendants: true,
      forceKillAfterDelay: terminationGrace,
      // execa copies buffered output into the message of a failed run: 900 MB of memory for 256 MiB.
      buffer: false,
      reject: false,
    })
    if (program.pid === undefined) throw await program
    return { program, group: program.pid }
  } catch (error) {
    // The message of this error quotes arguments.
    const { code, name } = error as NodeJS.ErrnoException
    throw new Error(startFailure(file, code ?? name))
  }
}

/** @param code of the system error: `ENOENT` */
export function startFailure(file: string, code: string): string {
  return `cannot start ${file}: ${code === 'ENOENT' ? 'no such program or folder' : code}`
}
