/**
 * Runs programs that have children of their own (git, Nix) as process groups, so that ending one
 * ends all of it: `git fetch` leaves its `git remote-https` behind when only git is killed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../../image/errors.ts'

/** How long a group may tidy up after SIGTERM before SIGKILL: git removes its lock files then. */
const terminationGrace = 3000
const pollInterval = 25
/** A process that left the group may hold a pipe open for ever; nobody waits longer for its end. */
const drainLimit = 1000
const stderrKept = 64 * 1024
/** A line that never ends must not fill the memory. */
const longestLine = 1024 * 1024
const defaultMaxStdout = 256 * 1024 * 1024

/** Groups whose first process lives: they end with this process, however it ends by itself. */
const groupsToEnd = new Set<number>()
process.once('exit', () => {
  for (const group of groupsToEnd) signalGroup(group, 'SIGTERM')
})

export interface RunOptions {
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
  /** For stdin, which is empty otherwise. */
  readonly input?: string | Uint8Array
  /** Milliseconds for the whole run. */
  readonly timeout?: number
  /** Milliseconds without a byte on stdout or stderr. */
  readonly idleTimeout?: number
  readonly signal?: AbortSignal
  /** Called with each line of stderr, without its end, as soon as it is whole. */
  readonly onStderrLine?: (line: string) => void
  /** Bytes of stdout after which the run is ended and fails. @default 256 MiB */
  readonly maxStdout?: number
}

export interface RunResult {
  /** Undefined when a signal ended the program. */
  readonly exitCode: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  /** The last 64 KiB at most. */
  readonly stderr: string
  /** Which time-out ended the run, if one did. */
  readonly timedOut: 'timeout' | 'idle' | undefined
}

/**
 * Runs a program and waits until nothing of its process group is left, however it ends. Bytes that
 * are not UTF-8 are replaced. A failing program is a result, not an error.
 * @throws the signal's reason if it was aborted; Error if the program cannot be started or wrote
 *   more than `maxStdout`
 */
export async function runInGroup(
  file: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  options.signal?.throwIfAborted()
  const child = spawn(file, args, {
    env: options.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    // A group of its own.
    detached: true,
  })
  const { pid: group, stdin } = child
  const { stdout, stderr: complaints } = child as { stdout: Readable; stderr: Readable }
  if (group === undefined) {
    const [error] = await once(child, 'error')
    // Only the reason: the error itself holds the arguments, in which a secret may stand.
    throw new Error(`cannot start ${file}: ${messageOf(error)}`)
  }
  groupsToEnd.add(group)
  // A program that does not want all of its input says so by how it ends.
  stdin?.on('error', () => {})
  stdin?.end(options.input)

  let timedOut: RunResult['timedOut']
  let tooMuch = false
  let ending: Promise<void> | undefined
  const end = (): void => {
    ending ??= endGroup(group)
  }

  const maxStdout = options.maxStdout ?? defaultMaxStdout
  const chunks: Buffer[] = []
  let stdoutSize = 0
  let stderr = ''
  const stderrLines = lineSplitter(options.onStderrLine)
  const wholeTimer = startTimer(options.timeout, () => {
    timedOut ??= 'timeout'
    end()
  })
  const idleTimer = startTimer(options.idleTimeout, () => {
    timedOut ??= 'idle'
    end()
  })
  options.signal?.addEventListener('abort', end, { once: true })

  stdout.on('data', (chunk: Buffer) => {
    idleTimer?.refresh()
    stdoutSize += chunk.length
    if (stdoutSize <= maxStdout) chunks.push(chunk)
    else {
      tooMuch = true
      end()
    }
  })
  const decoder = new StringDecoder('utf8')
  complaints.on('data', (chunk: Buffer) => {
    idleTimer?.refresh()
    const text = decoder.write(chunk)
    stderr = (stderr + text).slice(-stderrKept)
    stderrLines.push(text)
  })
  const drained = Promise.allSettled([finished(stdout), finished(complaints)])

  await once(child, 'exit')
  groupsToEnd.delete(group)
  // From here on the id of the group is only ours while a member lives: no timer may signal it.
  clearTimeout(wholeTimer)
  clearTimeout(idleTimer)
  options.signal?.removeEventListener('abort', end)
  if (hasMembers(group)) end()
  await ending
  await Promise.race([drained, delay(drainLimit, undefined, { ref: false })])
  stdout.destroy()
  complaints.destroy()
  stderrLines.end()

  options.signal?.throwIfAborted()
  if (tooMuch) throw new Error(`${file} wrote more than ${maxStdout} bytes`)
  return {
    exitCode: child.exitCode ?? undefined,
    signal: child.signalCode ?? undefined,
    stdout: Buffer.concat(chunks).toString('utf8'),
    stderr,
    timedOut,
  }
}

/** All process groups of one service: what compose hands to adapters, and ends at shutdown. */
export class ProcessGroups {
  readonly #running = new Map<AbortController, Promise<unknown>>()
  #closed = false

  /** As `runInGroup`. @throws also when `killAll` ended the run, or was called before */
  async run(file: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
    if (this.#closed) throw shutdown()
    const controller = new AbortController()
    const signal = options.signal
      ? AbortSignal.any([options.signal, controller.signal])
      : controller.signal
    const run = runInGroup(file, args, { ...options, signal })
    this.#running.set(controller, run)
    try {
      return await run
    } finally {
      this.#running.delete(controller)
    }
  }

  /** Ends all that runs and starts nothing any more; resolves when nothing is left. */
  async killAll(): Promise<void> {
    this.#closed = true
    for (const controller of this.#running.keys()) controller.abort(shutdown())
    await Promise.allSettled(this.#running.values())
  }
}

function shutdown(): Error {
  return new Error('the service is shutting down')
}

function startTimer(milliseconds: number | undefined, action: () => void) {
  return milliseconds === undefined ? undefined : setTimeout(action, milliseconds)
}

/** Asks the group to end, then makes it. Only for a group of which a member is known to live. */
async function endGroup(group: number): Promise<void> {
  signalGroup(group, 'SIGTERM')
  const deadline = performance.now() + terminationGrace
  while (performance.now() < deadline) {
    await delay(pollInterval)
    if (!hasMembers(group)) return
  }
  signalGroup(group, 'SIGKILL')
}

/** Whether anything of the group still runs; what is dead and waits to be reaped does not count. */
function hasMembers(group: number): boolean {
  return signalGroup(group, 0) && !hasOnlyZombies(group)
}

/**
 * Orphans are reaped by process 1, which takes its time, and as which this service itself may run in
 * a container, where nobody reaps them. Where there is no /proc they count as alive.
 */
function hasOnlyZombies(group: number): boolean {
  try {
    const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    return !processes.some((id) => {
      // `PID (NAME) STATE PARENT GROUP …`; the name may hold anything, brackets too.
      const fields = processStatus(id)
        .replace(/^.*\) /s, '')
        .split(' ')
      return fields[0] !== 'Z' && fields[2] === String(group)
    })
  } catch {
    return false
  }
}

/** Empty for a process that has ended meanwhile. */
function processStatus(id: string): string {
  try {
    return readFileSync(`/proc/${id}/stat`, 'latin1')
  } catch {
    return ''
  }
}

function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal)
  } catch {
    // ESRCH: nobody is left. EPERM: nobody is left who could be signalled.
    return false
  }
}

function lineSplitter(onLine: ((line: string) => void) | undefined) {
  let rest = ''
  return {
    push(text: string): void {
      if (!onLine) return
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > longestLine) {
        lines.push(rest)
        rest = ''
      }
      for (const line of lines) onLine(line.replace(/\r$/, ''))
    },
    end(): void {
      if (rest !== '') onLine?.(rest)
      rest = ''
    },
  }
}
