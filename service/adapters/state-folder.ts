/** The folder for what may be lost: mirrors, GC roots, temporary files. One process uses it at a time. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../domain/errors.ts'

/** Milliseconds that a process before us may take to end: its grace period, and a little. */
const patience = 15_000
const retryInterval = 250

/** Bytes in the path of a Unix socket, at most (sockaddr_un). */
const longestSocketPath = 107

export interface StateFolderOptions {
  /** @default 15,000 */
  readonly patience?: number
}

export class StateFolder implements AsyncDisposable {
  readonly path: string
  /** Names this instance for good, in what it writes to a storage that it shares with others. */
  readonly instance: string
  /** For source trees on their way into the Nix store; empty at the start. */
  readonly temporary: string
  /** For GC roots; empty at the start. */
  readonly roots: string
  /** An empty folder, for programs that must not find anybody's configuration. */
  readonly emptyHome: string
  readonly #lock: Server

  private constructor(path: string, instance: string, lock: Server) {
    this.path = path
    this.instance = instance
    this.temporary = join(path, 'run/tmp')
    this.roots = join(path, 'run/gcroots')
    this.emptyHome = join(path, 'run/home')
    this.#lock = lock
  }

  /**
   * Makes the folder if it is missing, waits until nobody else uses it, and clears away what a crash left.
   * @throws Error when another process goes on using it, or it cannot be written
   */
  static async open(path: string, options: StateFolderOptions = {}): Promise<StateFolder> {
    // It holds a private repository: nobody else's business.
    await mkdir(path, { recursive: true, mode: 0o700 })
    const lock = await lockFolder(path, options.patience ?? patience)
    try {
      const state = new StateFolder(path, await readInstance(path), lock)
      for (const folder of [state.temporary, state.roots, state.emptyHome]) {
        await rm(folder, { recursive: true, force: true })
        await mkdir(folder, { recursive: true })
      }
      return state
    } catch (error) {
      lock.close()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lock.close()
    await once(this.#lock, 'close')
  }
}

/** A listening socket is a lock that ends with its process, however that ends. */
async function lockFolder(path: string, limit: number): Promise<Server> {
  const socket = join(path, 'lock')
  if (Buffer.byteLength(socket) > longestSocketPath) {
    throw new Error(`${path} is too long: the state folder's path has at most 102 bytes`)
  }
  for (const deadline = Date.now() + limit; ; await sleep(retryInterval)) {
    const lock = await listen(socket)
    if (lock !== undefined) return lock
    if (!(await isAlive(socket))) {
      await rm(socket, { force: true })
      continue
    }
    if (Date.now() >= deadline) {
      throw new Error(
        `${path} is in use by another Slipway: end that one, or set SLIPWAY_STATE_PATH to another folder`,
      )
    }
  }
}

/** Undefined when the name is taken, be it by a socket that nobody listens on any more. */
async function listen(socket: string): Promise<Server | undefined> {
  const server = createServer((connection) => connection.destroy())
  server.unref()
  try {
    server.listen(socket)
    await once(server, 'listening')
    return server
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined
    throw new Error(`the state folder cannot be used: ${messageOf(error)}`)
  }
}

async function isAlive(socket: string): Promise<boolean> {
  const connection = connect(socket)
  try {
    await once(connection, 'connect')
    return true
  } catch {
    return false
  } finally {
    connection.destroy()
  }
}

async function readInstance(path: string): Promise<string> {
  const file = join(path, 'instance')
  const known = await readFile(file, 'utf8').catch(() => '')
  if (/^[0-9a-f-]{36}$/.test(known)) return known
  const fresh = randomUUID()
  await writeFile(file, fresh)
  return fresh
}
