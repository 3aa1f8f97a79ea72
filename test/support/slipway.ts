/** Slipway as a user starts it: a process with an environment, on a free port. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

const root = resolve(import.meta.dirname, '../..')

/** Milliseconds until a missing log line counts as a failure. */
const logLimit = 120_000

export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

export class Slipway implements AsyncDisposable {
  readonly url: string
  /** Registry part of image names: `localhost:12345`. */
  readonly registry: string
  readonly pid: number
  readonly #output: ServiceOutput

  private constructor(output: ServiceOutput, { port, tls }: LogLine) {
    this.#output = output
    this.pid = output.child.pid ?? 0
    this.url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
    this.registry = `localhost:${port}`
  }

  /**
   * Starts a service and waits until it is ready.
   * @param environment settings in addition to PATH, HOME and NIX_CONFIG
   */
  static async start(environment: Record<string, string>): Promise<Slipway> {
    const output = new ServiceOutput(spawnStart(environment))
    await output.untilLogged('ready')
    return new Slipway(output, await output.untilLogged('listening'))
  }

  /** Runs a service that is expected to end by itself. */
  static async fail(
    environment: Record<string, string>,
  ): Promise<{ code: number; stderr: string }> {
    const { child, stderr } = new ServiceOutput(spawnStart(environment))
    const [code] = await once(child, 'close')
    return { code: Number(code), stderr: stderr.join('\n') }
  }

  /** Lists the log lines with this message. */
  logged(message: string): LogLine[] {
    return this.#output.lines.filter(({ msg }) => msg === message)
  }

  /** Waits for a log line with this message and these fields, if it is not there yet. */
  untilLogged(message: string, fields: Readonly<Record<string, unknown>> = {}): Promise<LogLine> {
    return this.#output.untilLogged(message, fields)
  }

  get log(): readonly LogLine[] {
    return this.#output.lines
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(this.url + path, init)
  }

  /** Ends the service by a signal. @returns its exit code, or the signal that killed it */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    const { child } = this.#output
    if (child.exitCode !== null) return child.exitCode
    if (child.signalCode !== null) return child.signalCode
    const ended = once(child, 'close')
    child.kill(signal)
    const [code, killedBy] = await ended
    return code ?? killedBy
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** Folder for the storage and state of one service. It is deleted when the test ends. */
export class Workspace implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<Workspace> {
    return new Workspace(await mkdtemp(join(tmpdir(), 'slipway-e2e-')))
  }

  get storage(): string {
    return join(this.folder, 'storage')
  }

  get state(): string {
    return join(this.folder, 'state')
  }

  /** Settings of a service that serves a repository and writes only to this folder. */
  settings(repository: string): Record<string, string> {
    return {
      NIXERY_PKGS_REPO: repository,
      STORAGE_PATH: this.storage,
      SLIPWAY_STATE_PATH: this.state,
      SLIPWAY_POLL_INTERVAL: '0',
      PORT: '0',
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Runs scripts/start. @param environment settings in addition to PATH, HOME and NIX_CONFIG */
export function spawnStart(
  environment: Record<string, string>,
): ChildProcessByStdio<null, Readable, Readable> {
  const { PATH = '', HOME = '/root', NIX_CONFIG = '' } = process.env
  return spawn('scripts/start', [], {
    cwd: root,
    env: { PATH, HOME, NIX_CONFIG, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Log and stderr of a running service. */
class ServiceOutput {
  readonly child: ChildProcess
  readonly lines: LogLine[] = []
  readonly stderr: string[] = []
  readonly #events = new EventEmitter<{ line: [] }>().setMaxListeners(0)

  constructor(child: ChildProcessByStdio<null, Readable, Readable>) {
    this.child = child
    createInterface(child.stderr).on('line', (line) => this.stderr.push(line))
    createInterface(child.stdout).on('line', (line) => {
      this.lines.push(JSON.parse(line))
      this.#events.emit('line')
    })
  }

  /** @throws Error if the service ends before it logs such a line, or does not log one within two minutes */
  untilLogged(message: string, fields: Readonly<Record<string, unknown>> = {}): Promise<LogLine> {
    const isMatch = (line: LogLine) =>
      line.msg === message && Object.entries(fields).every(([name, value]) => line[name] === value)
    const { promise, resolve, reject } = Promise.withResolvers<LogLine>()
    const look = () => {
      const found = this.lines.find(isMatch)
      if (found) resolve(found)
    }
    const fail = (why: string) =>
      reject(
        new Error(
          `Slipway ${why} without logging "${message}" ${JSON.stringify(fields)}: ${this.stderr.join('\n')}`,
        ),
      )
    const onClose = (code: number | null) => fail(`ended with ${code}`)
    const timer = setTimeout(() => fail('went on for two minutes'), logLimit)
    this.#events.on('line', look)
    this.child.once('close', onClose)
    look()
    return promise.finally(() => {
      clearTimeout(timer)
      this.#events.off('line', look)
      this.child.off('close', onClose)
    })
  }
}
