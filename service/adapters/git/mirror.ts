/**
 * A bare mirror of the branches and tags of one remote repository.
 *
 * HEAD of the mirror names the remote's default branch, or a ref that never exists if the remote has none. So
 * the folder alone is enough after a restart. A mirror that is missing or damaged is replaced by a clone.
 */

import { messageOf } from '../../image/errors.ts'
import { branchPrefix, tagPrefix } from '../../image/ref-name.ts'
import { isFullCommitId } from '../../image/reference.ts'
import type { GitRepository, RepositoryRefs } from '../../source/ports.ts'
import type { Log } from '../../telemetry/ports.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import { GitCommands } from './commands.ts'
import { commitsStartingWith, isReachable } from './commits.ts'
import { type GitRemote, gitRemote } from './credentials.ts'
import { GitFailures } from './failures.ts'
import { FilesAtCommits } from './files-at-commits.ts'
import { LocalReads } from './local-reads.ts'
import { MirrorFolders, writeAttributes } from './mirror-folders.ts'
import { readDates, readRefs, setHead } from './refs.ts'

/** Git requires that HEAD names a ref. This one never exists. */
const noDefaultBranch = 'refs/slipway/no-default-branch'

/** Only branches and tags: a hosting service also lists commits of forks, under refs/pull and similar names. */
const refspecs = [branchPrefix, tagPrefix].map((prefix) => `+${prefix}*:${prefix}*`)

/** Ends a request over HTTP to which the server sends nothing. */
const lowSpeedLimit = ['-c', 'http.lowSpeedLimit=1', '-c', 'http.lowSpeedTime=30']

const fetchFlags = [
  '--prune',
  '--force',
  '--no-tags',
  '--no-recurse-submodules',
  // FETCH_HEAD would keep the URL on disk.
  '--no-write-fetch-head',
  // Without output, the idle time-out would end a working fetch.
  '--progress',
  // Maintenance prints nothing for a long time, so the idle time-out would end it. `#maintain` runs it separately.
  '--no-auto-maintenance',
]

/** Milliseconds. A working remote causes output every 5 s: progress, or keep-alives of upload-pack. */
const defaultIdleTimeout = 30_000
/** Milliseconds for an export, and for maintenance. */
const exportTimeout = 600_000
const maintenanceTimeout = 3_600_000

export interface GitMirrorOptions {
  /** URL of the remote, as git takes it; may contain credentials. */
  readonly url: string
  /** Folder of the mirror; nothing else writes there. */
  readonly folder: string
  readonly groups: ProcessGroups
  readonly log: Log
  /** Variables by which git and ssh find their configuration. @default process.env */
  readonly environment?: NodeJS.ProcessEnv
  /** Milliseconds without output after which a fetch is ended. @default 30,000 */
  readonly idleTimeout?: number
}

interface RemoteHead {
  /** Full name of the default branch; undefined if HEAD is detached or the repository is empty. */
  readonly branch: string | undefined
  readonly id: string | undefined
}

export class GitMirror implements GitRepository {
  readonly #remote: GitRemote
  readonly #folders: MirrorFolders
  readonly #log: Log
  readonly #idleTimeout: number
  /** Runs git on the mirror. `#newGit` runs git on the clone that replaces the mirror. */
  readonly #git: GitCommands
  readonly #newGit: GitCommands
  readonly #files: FilesAtCommits
  /** The running read of the dates, unless a fetch has ended since the read began. */
  #dates: Promise<ReadonlyMap<string, number>> | undefined
  /** True if the mirror was readable, and nothing has failed since. */
  #isUsable = false
  #maintenance: Promise<void> | undefined

  constructor(options: GitMirrorOptions) {
    const { url, groups, log, environment = process.env } = options
    this.#remote = gitRemote(url)
    this.#folders = new MirrorFolders(options.folder)
    this.#log = log
    this.#idleTimeout = options.idleTimeout ?? defaultIdleTimeout
    const failures = new GitFailures(url)
    const reads = new LocalReads({ failures, environment, signal: groups.shutdown })
    const commands = { groups, reads, failures, environment }
    this.#git = new GitCommands({ ...commands, folder: this.#folders.current })
    this.#newGit = new GitCommands({ ...commands, folder: this.#folders.next })
    this.#files = new FilesAtCommits(this.#git)
  }

  async open(): Promise<RepositoryRefs | undefined> {
    await this.#folders.removeLeftovers()
    if (!(await this.#folders.exists())) return undefined
    try {
      const refs = await readRefs(this.#git)
      await writeAttributes(this.#folders.current)
      this.#isUsable = true
      return refs
    } catch (error) {
      this.#log.warn(
        { folder: this.#folders.current, failure: messageOf(error) },
        'the git mirror is damaged; the next fetch replaces it',
      )
      return undefined
    }
  }

  async fetch(): Promise<RepositoryRefs> {
    // Both talk to the remote at the same time. Even if one fails, the other is awaited.
    const remoteHead = this.#readRemoteHead()
    const downloading = this.#download(remoteHead)
    const [head, download] = await Promise.allSettled([remoteHead, downloading])
    this.#isUsable = false
    this.#dates = undefined
    if (head.status === 'rejected') throw head.reason
    if (download.status === 'rejected') throw download.reason
    const git = download.value
    await setHead(git, head.value.branch ?? noDefaultBranch)
    const refs = await readRefs(git)
    if (git === this.#newGit) await this.#folders.replaceByNext()
    this.#isUsable = true
    this.#maintain()
    return refs
  }

  isReachable(commit: string): Promise<boolean> {
    return isReachable(this.#git, commit)
  }

  commitsStartingWith(prefix: string): Promise<string[]> {
    return commitsStartingWith(this.#git, prefix)
  }

  refDates(): Promise<ReadonlyMap<string, number>> {
    const dates = this.#dates ?? readDates(this.#git)
    this.#dates = dates
    const forget = () => {
      if (this.#dates === dates) this.#dates = undefined
    }
    dates.then(forget, forget)
    return dates
  }

  async readFile(commit: string, path: string): Promise<string | undefined> {
    return this.#files.read(checkedCommit(commit), path)
  }

  async export(commit: string, folder: string): Promise<void> {
    // Git itself pipes the archive into tar, and reports failures of both.
    const before = ['-c', 'tar.tree.command=tar -x -f - --no-same-owner', '-c', 'tar.umask=0022']
    const after = ['--format=tree', checkedCommit(commit)]
    await this.#git.run('archive', { before, after }, { cwd: folder, timeout: exportTimeout })
  }

  async #readRemoteHead(): Promise<RemoteHead> {
    const lines = await this.#runRemote(this.#git, 'ls-remote', ['--symref'], ['HEAD'])
    return {
      // Refs whose names end in /HEAD are listed, too.
      branch: /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(lines)?.[1],
      id: /^([0-9a-f]+)\tHEAD$/m.exec(lines)?.[1],
    }
  }

  /** Fetches into the mirror, or into a clone that replaces it. Returns the commands of that repository. */
  async #download(remoteHead: Promise<RemoteHead>): Promise<GitCommands> {
    if (!this.#isUsable && !(await this.#isReadable())) {
      await this.#startClone(await remoteHead)
      await this.#fetchInto(this.#newGit)
      return this.#newGit
    }
    try {
      await this.#fetchInto(this.#git)
    } catch (error) {
      const isLocked = /File exists|remove the file manually/.test(messageOf(error))
      if (!isLocked || !(await this.#removeStaleLocks())) throw error
      await this.#fetchInto(this.#git)
    }
    return this.#git
  }

  async #fetchInto(git: GitCommands): Promise<void> {
    await this.#runRemote(git, 'fetch', fetchFlags, refspecs)
  }

  /** Runs a command that talks to the remote. Returns its stdout. */
  async #runRemote(
    git: GitCommands,
    command: string,
    flags: readonly string[],
    refs: readonly string[],
  ): Promise<string> {
    const { url, options, environment } = this.#remote
    return git.run(
      command,
      { before: [...lowSpeedLimit, ...options], after: [...flags, '--', url, ...refs] },
      {
        env: { ...(await git.remoteEnvironment()), ...environment },
        idleTimeout: this.#idleTimeout,
      },
    )
  }

  async #isReadable(): Promise<boolean> {
    if (!(await this.#folders.exists())) return false
    return readRefs(this.#git).then(
      () => true,
      () => false,
    )
  }

  async #startClone({ id }: RemoteHead): Promise<void> {
    await this.#folders.clearNext()
    const format = id?.length === 64 ? 'sha256' : 'sha1'
    const flags = ['--bare', '--quiet', '--template=', `--object-format=${format}`]
    await this.#newGit.run('init', { after: flags })
    await writeAttributes(this.#folders.next)
  }

  /** Returns whether there was a stale lock. */
  async #removeStaleLocks(): Promise<boolean> {
    let hasRemoved = false
    for await (const path of this.#folders.removeStaleLocks()) {
      this.#log.warn({ path }, 'removed a lock file that a killed git left in the mirror')
      hasRemoved = true
    }
    return hasRemoved
  }

  /** Packs refs, and objects if git considers it useful, in the background. */
  #maintain(): void {
    const run = async (): Promise<void> => {
      const options = { timeout: maintenanceTimeout }
      await this.#git.run('pack-refs', { after: ['--all'] }, options)
      // A detached gc would outlive the service.
      const before = ['-c', 'gc.autoDetach=false']
      await this.#git.run('gc', { before, after: ['--auto', '--quiet'] }, options)
    }
    this.#maintenance ??= run()
      .catch((error) => this.#log.debug({ failure: messageOf(error) }, 'git maintenance failed'))
      .finally(() => {
        this.#maintenance = undefined
      })
  }
}

/** Returns a full commit id in lower case. @throws TypeError for any other text: a bug of the service */
function checkedCommit(commit: string): string {
  if (isFullCommitId(commit)) return commit.toLowerCase()
  throw new TypeError(`${commit} is not a full commit id`)
}
