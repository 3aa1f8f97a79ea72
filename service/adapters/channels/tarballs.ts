/**
 * Tarballs of source trees, kept in a folder, so that a restart needs no download. A tarball is downloaded
 * completely before the system's tar unpacks it, so that a broken download is never unpacked.
 */
import { mkdir, open, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure, messageOf } from '../../image/errors.ts'
import { exists } from '../filesystem/file-access.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import type { RunResult } from '../process/run.ts'
import type { RemoteResponse } from '../remote/remote-document.ts'

/** Milliseconds for unpacking a tarball. That of nixpkgs takes seconds. */
const unpackTimeout = 600_000
/** Most tarballs in addition to those of `keep`. The tarball of nixpkgs has 50 MB. */
const mostOthers = 4
/** Seconds. */
const retryAfter = 30

/** The first bytes of a compressed file, and tar's flag for the compression. */
const compressions: readonly { readonly magic: string; readonly flag: string }[] = [
  { magic: '1f8b', flag: '--gzip' },
  { magic: 'fd377a585a00', flag: '--xz' },
  { magic: '28b52ffd', flag: '--zstd' },
]

export interface TarballsOptions {
  /** Folder of the tarballs. Nothing else may write there. */
  readonly folder: string
  /** Folder for running downloads, on the same file system. */
  readonly temporaryFolder: string
  readonly groups: ProcessGroups
}

/** Error of a tarball that no further attempt can unpack. */
class InvalidTarball extends Error {}

export class Tarballs {
  readonly #options: TarballsOptions
  /** Names of the tarballs that are never deleted. */
  #kept: ReadonlySet<string> = new Set()

  constructor(options: TarballsOptions) {
    this.#options = options
  }

  async has(name: string): Promise<boolean> {
    return exists(this.#path(name))
  }

  /** Replaces the list of tarballs that are never deleted. */
  keep(names: Iterable<string>): void {
    this.#kept = new Set(names)
  }

  /**
   * Stores a tarball, and deletes the ones that were used least recently.
   * @param name a file name that identifies the content
   * @throws the error of the body; then nothing is stored
   */
  async add(name: string, body: RemoteResponse['body']): Promise<void> {
    const { folder, temporaryFolder } = this.#options
    await mkdir(folder, { recursive: true })
    const partial = join(temporaryFolder, `tarball-${name}-${crypto.randomUUID()}`)
    try {
      // writeFile resolves after the file is closed. A stream might open the file after `rm` has removed it.
      await writeFile(partial, body, { flag: 'wx', flush: true })
      await rename(partial, this.#path(name))
    } finally {
      await rm(partial, { force: true })
    }
    await this.#deleteOld()
  }

  /**
   * Unpacks the content of the tarball's top folder into an empty folder. Deletes an invalid tarball.
   * @throws Failure unavailable
   */
  async unpack(name: string, folder: string): Promise<void> {
    const path = this.#path(name)
    try {
      await this.#extract(path, folder)
      if (!(await exists(join(folder, 'default.nix')))) {
        throw new InvalidTarball('there is no default.nix in its top folder')
      }
    } catch (error) {
      if (error instanceof InvalidTarball) await rm(path, { force: true })
      const message = `the tarball of ${name} cannot be used: ${messageOf(error)}`
      throw new Failure('unavailable', message, { retryAfter })
    }
    const now = new Date()
    // Another download may have deleted the tarball meanwhile. The unpacked files are not affected.
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
    const message = stderr.trim().split('\n').slice(0, 3).join('; ')
    throw (await this.#mayBeValid(archive)) ? new Error(message) : new InvalidTarball(message)
  }

  /**
   * Returns false if tar cannot read the archive. Extracting ends with the same exit code for a full disk and
   * for an invalid archive. Listing needs no disk space.
   */
  async #mayBeValid(archive: readonly string[]): Promise<boolean> {
    const { exitCode, stderr } = await this.#tar(['--list', ...archive], '/')
    // A signal, or a missing program to decompress, does not prove that the archive is invalid.
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

  async #deleteOld(): Promise<void> {
    const { folder } = this.#options
    const others = await Promise.all(
      (await readdir(folder))
        .filter((name) => !this.#kept.has(name))
        .map(async (name) => {
          const used = await stat(join(folder, name)).catch(() => undefined)
          return { name, used: used?.mtimeMs ?? 0 }
        }),
    )
    const old = others.sort((a, b) => b.used - a.used).slice(mostOthers)
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
      throw new InvalidTarball('it is not compressed with gzip, xz or zstd')
    }
    return found.flag
  } finally {
    await file.close()
  }
}
