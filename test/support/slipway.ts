/** Slipway as a user starts it: a process with an environment, on a free port. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

const root = resolve(import.meta.dirname, '../..')

/** Milliseconds until a process that does not listen counts as failed. */
const startLimit = 60_000

export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

export class Slipway implements AsyncDisposable {
  readonly url: string
  /** As images are named: `localhost:12345`. */
  readonly registry: string
  readonly pid: number
  readonly #process: ChildProcess
  readonly #lines: LogLine[]

  private constructor(child: ChildProcess, { port, tls }: LogLine, lines: LogLine[]) {
    this.#process = child
    this.#lines = lines
    this.pid = child.pid ?? 0
    this.url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`
    this.registry = `localhost:${port}`
  }

  /** @param environment settings on top of PATH, HOME and Nix's own */
  static async start(environment: Record<string, string>): Promise<Slipway> {
    const { child, lines, stderr } = spawnService(environment)
    const listening = new Promise<LogLine>((found, fail) => {
      const timer = setTimeout(() => fail(new Error('Slipway does not get ready')), startLimit)
      child.once('exit', (code) => {
        clearTimeout(timer)
        fail(new Error(`Slipway ended with ${code}: ${stderr.join('\n')}`))
      })
      const look = setInterval(() => {
        const line = lines.find(({ msg }) => msg === 'listening')
        if (line === undefined || !lines.some(({ msg }) => msg === 'ready')) return
        clearInterval(look)
        clearTimeout(timer)
        found(line)
      }, 10)
      look.unref()
    })
    return new Slipway(child, await listening, lines)
  }

  /** Runs one that is expected to end by itself. */
  static async fail(
    environment: Record<string, string>,
  ): Promise<{ code: number; stderr: string }> {
    const { child, stderr } = spawnService(environment)
    const [code] = await once(child, 'close')
    return { code: Number(code), stderr: stderr.join('\n') }
  }

  /** Log lines with this message, so far. */
  logged(message: string): LogLine[] {
    return this.#lines.filter(({ msg }) => msg === message)
  }

  get log(): readonly LogLine[] {
    return this.#lines
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(this.url + path, init)
  }

  /** Ends it by a signal. @returns its exit code, or the signal that killed it */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    if (this.#process.exitCode !== null) return this.#process.exitCode
    if (this.#process.signalCode !== null) return this.#process.signalCode
    const ended = once(this.#process, 'close')
    this.#process.kill(signal)
    const [code, killedBy] = await ended
    return code ?? killedBy
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** A folder for one service's storage and state, removed at the end. */
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

  /** Settings that keep everything below this folder. */
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

/** @param environment settings on top of PATH, HOME and Nix's own */
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

function spawnService(environment: Record<string, string>) {
  const child = spawnStart(environment)
  const lines: LogLine[] = []
  const stderr: string[] = []
  createInterface(child.stdout).on('line', (line) => lines.push(JSON.parse(line)))
  createInterface(child.stderr).on('line', (line) => stderr.push(line))
  return { child, lines, stderr }
}
