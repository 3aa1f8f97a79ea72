/** The folder for what may be lost: mirrors, GC roots, temporary files. One process uses it at a time. */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../image/errors.ts'

/** Milliseconds that a process before us may take to end: its grace period, and a little. */
const patience = 15_000
const retryInterval = 250

/** Bytes; the path of a Unix socket has 107 at most (sockaddr_un). */
const longestPath = 107 - '/locks/.12345678'.length

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
  readonly #presence: Presence

  private constructor(path: string, instance: string, presence: Presence) {
    this.path = path
    this.instance = instance
    this.temporary = join(path, 'run/tmp')
    this.roots = join(path, 'run/gcroots')
    this.emptyHome = join(path, 'run/home')
    this.#presence = presence
  }

  /**
   * Makes the folder if it is missing, waits until nobody else uses it, and clears away what a crash left.
   * @throws Error when another process goes on using it, or it cannot be written
   */
  static async open(path: string, options: StateFolderOptions = {}): Promise<StateFolder> {
    try {
      return await StateFolder.#open(path, options)
    } catch (error) {
      const isSystem = (error as NodeJS.ErrnoException).code !== undefined
      if (!isSystem) throw error
      throw new Error(`the state folder ${path} cannot be used: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }

  static async #open(path: string, options: StateFolderOptions): Promise<StateFolder> {
    // It holds a private repository: nobody else's business.
    await mkdir(path, { recursive: true, mode: 0o700 })
    const presence = await lockFolder(path, options.patience ?? patience)
    try {
      const state = new StateFolder(path, await readInstance(path), presence)
      for (const folder of [state.temporary, state.roots, state.emptyHome]) {
        await rm(folder, { recursive: true, force: true })
        await mkdir(folder, { recursive: true })
      }
      return state
    } catch (error) {
      await presence.end()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#presence.end()
  }
}

/** That this process uses the folder, for others to see. */
class Presence {
  readonly #path: string
  readonly #server: Server

  private constructor(path: string, server: Server) {
    this.#path = path
    this.#server = server
  }

  /** @param folder where the sockets of all are */
  static async show(folder: string): Promise<Presence> {
    const name = randomBytes(6).toString('base64url')
    const hidden = join(folder, `.${name}`)
    const server = createServer((connection) => connection.destroy())
    server.unref()
    try {
      server.listen(hidden)
      await once(server, 'listening')
      // Only now: a socket that is bound and does not listen yet would look like that of a dead process.
      await rename(hidden, join(folder, name))
      return new Presence(join(folder, name), server)
    } catch (error) {
      server.close()
      throw new Error(`the state folder cannot be used: ${messageOf(error)}`)
    }
  }

  /** Whether another process shows itself, too. What dead ones left is removed. */
  async isShared(): Promise<boolean> {
    const folder = dirname(this.#path)
    const names = (await readdir(folder)).filter((name) => !name.startsWith('.'))
    const others = names.map((name) => join(folder, name)).filter((path) => path !== this.#path)
    for (const other of others) {
      if (await isAlive(other)) return true
      await rm(other, { force: true })
    }
    return false
  }

  async end(): Promise<void> {
    await rm(this.#path, { force: true })
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/**
 * Waits until this process alone uses the folder. A listening socket tells of a process as long as that
 * lives, however it ends. Each has one under a name of its own, and looks for those of others after it
 * has shown its own: so of two that start at once at least one sees the other, and gives way. A name
 * is never used again, so that what was found dead can be removed at any time later.
 *
 *     shown: Jx2k (dead)          A shows bT7w, sees Jx2k, removes it, and is alone
 *     shown: bT7w                 B shows q0Zd, sees bT7w, takes q0Zd away and waits
 */
async function lockFolder(path: string, limit: number): Promise<Presence> {
  const folder = join(path, 'locks')
  if (Buffer.byteLength(path) > longestPath) {
    throw new Error(`${path} is too long: the state folder's path has at most ${longestPath} bytes`)
  }
  await mkdir(folder, { recursive: true })
  const deadline = Date.now() + limit
  for (;;) {
    const presence = await Presence.show(folder)
    const shared = await presence.isShared().catch(async (error) => {
      await presence.end()
      throw error
    })
    if (!shared) return presence
    await presence.end()
    if (Date.now() >= deadline) {
      throw new Error(
        `${path} is in use by another Slipway: end that one, or set SLIPWAY_STATE_PATH to another folder`,
      )
    }
    // At random, or two that gave way to each other would meet again.
    await sleep(retryInterval * (0.5 + Math.random()))
  }
}

async function isAlive(socket: string): Promise<boolean> {
  const connection = connect(socket)
  try {
    await once(connection, 'connect')
    return true
  } catch (error) {
    // Anything else, such as a queue of connections that is full, needs a process.
    return !['ECONNREFUSED', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')
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
