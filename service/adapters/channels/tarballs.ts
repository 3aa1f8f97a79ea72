/**
 * Tarballs of source trees: downloaded to a folder, so that a restart needs no download, and unpacked by
 * the system's tar. A file first, not a pipe: what is unpacked is then known to be whole.
 */
import { mkdir, open, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure, messageOf } from '../../image/errors.ts'
import { exists } from '../filesystem/exists.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import type { RunResult } from '../process/run.ts'
import type { RemoteAnswer } from '../remote/remote-document.ts'

/** Milliseconds; nixpkgs takes seconds. */
const unpackTimeout = 600_000
/** Besides those that are not to be forgotten. nixpkgs has 50 MB: what single commits may take. */
const tarballsKept = 4
/** Seconds. */
const retryAfter = 30

/** What the file begins with, and tar's flag for it. */
const compressions: readonly { readonly magic: string; readonly flag: string }[] = [
  { magic: '1f8b', flag: '--gzip' },
  { magic: 'fd377a585a00', flag: '--xz' },
  { magic: '28b52ffd', flag: '--zstd' },
]

export interface TarballsOptions {
  /** Where they are kept; nobody else writes there. */
  readonly folder: string
  /** For downloads under way; on the same file system. */
  readonly temporaryFolder: string
  readonly groups: ProcessGroups
}

/** What it says will be the same the next time. */
class BadTarball extends Error {}

export class Tarballs {
  readonly #options: TarballsOptions
  #unforgettable: ReadonlySet<string> = new Set()

  constructor(options: TarballsOptions) {
    this.#options = options
  }

  /** Whether the tarball is kept. */
  async has(name: string): Promise<boolean> {
    return exists(this.#path(name))
  }

  /** Names the tarballs that are never forgotten, in place of those that were before. */
  keep(names: Iterable<string>): void {
    this.#unforgettable = new Set(names)
  }

  /**
   * Keeps a tarball, and forgets those that were not used for longest.
   * @param name a file name that is the same for the same content
   * @throws what the body throws, and then keeps nothing
   */
  async add(name: string, body: RemoteAnswer['body']): Promise<void> {
    const { folder, temporaryFolder } = this.#options
    await mkdir(folder, { recursive: true })
    const partial = join(temporaryFolder, `tarball-${name}-${crypto.randomUUID()}`)
    try {
      // Settles only when the file is closed: a stream might still be opening what is then removed.
      await writeFile(partial, body, { flag: 'wx', flush: true })
      await rename(partial, this.#path(name))
    } finally {
      await rm(partial, { force: true })
    }
    await this.#forgetOld()
  }

  /**
   * Writes what is below the tarball's one top folder into an empty folder. A tarball that is found to be
   * bad is kept no longer.
   * @throws Failure unavailable
   */
  async unpack(name: string, folder: string): Promise<void> {
    const path = this.#path(name)
    try {
      await this.#extract(path, folder)
      if (!(await exists(join(folder, 'default.nix')))) {
        throw new BadTarball('there is no default.nix in its top folder')
      }
    } catch (error) {
      if (error instanceof BadTarball) await rm(path, { force: true })
      const reason = `the tarball of ${name} cannot be used: ${messageOf(error)}`
      throw new Failure('unavailable', reason, { retryAfter })
    }
    const now = new Date()
    // It may have been forgotten meanwhile; what was unpacked is good all the same.
    await utimes(path, now, now).catch(() => {})
  }

  async #extract(path: string, folder: string): Promise<void> {
    const archive = [await compressionOf(path), '--file', path]
    const flags = ['--no-same-owner', '--no-same-permissions', '--strip-components=1']
    const { exitCode, signal, stderr } = await this.#tar(
      ['--extract', ...archive, ...flags],
      folder,
    )
    if (exitCode === 0) return
    if (signal !== undefined) throw new Error(`tar was ended by ${signal}`)
    const reason = stderr.trim().split('\n').slice(0, 3).join('; ')
    throw (await this.#isGood(archive)) ? new Error(reason) : new BadTarball(reason)
  }

  /**
   * Whether tar can read all of it. It ends with the same exit code when the disk is full as when the
   * archive is bad; listing needs no disk.
   */
  async #isGood(archive: readonly string[]): Promise<boolean> {
    const { exitCode, stderr } = await this.#tar(['--list', ...archive], '/')
    // A signal, or no program to decompress with, says nothing about the archive.
    return exitCode === 0 || exitCode === undefined || /can(?:no|')t exec/i.test(stderr)
  }

  async #tar(args: readonly string[], folder: string): Promise<RunResult> {
    const result = await this.#options.groups.run('tar', args, {
      cwd: folder,
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
      timeout: unpackTimeout,
    })
    if (result.timedOut) throw new Error(`tar did not end within ${unpackTimeout / 1000} s`)
    return result
  }

  async #forgetOld(): Promise<void> {
    const { folder } = this.#options
    const kept = await Promise.all(
      (await readdir(folder))
        .filter((name) => !this.#unforgettable.has(name))
        .map(async (name) => {
          const used = await stat(join(folder, name)).catch(() => undefined)
          return { name, used: used?.mtimeMs ?? 0 }
        }),
    )
    const old = kept.sort((a, b) => b.used - a.used).slice(tarballsKept)
    await Promise.all(old.map(({ name }) => rm(join(folder, name), { force: true })))
  }

  #path(name: string): string {
    return join(this.#options.folder, name)
  }
}

async function compressionOf(path: string): Promise<string> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(6))
    const start = buffer.subarray(0, bytesRead).toString('hex')
    const found = compressions.find(({ magic }) => start.startsWith(magic))
    if (found === undefined) {
      throw new BadTarball('it is compressed neither by gzip nor by xz or zstd')
    }
    return found.flag
  } finally {
    await file.close()
  }
}
