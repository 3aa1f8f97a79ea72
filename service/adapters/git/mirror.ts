/**
 * A bare mirror of the branches and tags of one remote repository.
 *
 * HEAD of the mirror says what the remote's default branch is, or that there is none; so the folder alone
 * tells all after a restart. A mirror that is missing or cannot be read is replaced by a clone.
 */

import PQueue from 'p-queue'
import { messageOf } from '../../image/errors.ts'
import { isFullCommitId } from '../../image/reference.ts'
import type { GitRepository, RepositoryRefs } from '../../source/ports.ts'
import type { Log } from '../../telemetry/ports.ts'
import type { ProcessGroups } from '../process/process-groups.ts'
import { GitCommands } from './commands.ts'
import { type GitRemote, gitRemote } from './credentials.ts'
import { MirrorFolders, writeAttributes } from './mirror-folders.ts'
import { readDates, readRefs, setHead, typesAndIds } from './refs.ts'

/** HEAD must name some ref; this one never exists. */
const noDefaultBranch = 'refs/slipway/no-default-branch'

/** Nothing else: a hosting service also shows commits of forks, below refs/pull and the like. */
const refspecs = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*']

/** For a server that accepts a request over HTTP and then says nothing. */
const patience = ['-c', 'http.lowSpeedLimit=1', '-c', 'http.lowSpeedTime=30']

const fetchFlags = [
  '--prune',
  '--force',
  '--no-tags',
  '--no-recurse-submodules',
  // It would keep the URL on disk.
  '--no-write-fetch-head',
  // The sign of life that the idle time-out looks for.
  '--progress',
  // Maintenance is silent for long, which would look like a dead remote: it has a run of its own.
  '--no-auto-maintenance',
]

/** Bytes of a file that is read into memory. */
const largestFile = 1024 * 1024

/** A living remote is heard of every 5 s: by its progress, or by what upload-pack sends instead. */
const defaultIdleTimeout = 30_000
/** Anybody can pull by commit ids that do not exist: however many do, so many gits run for it. */
const readsAtOnce = 4
const exportTimeout = 600_000
const maintenanceTimeout = 3_600_000

export interface GitMirrorOptions {
  /** Of the remote, as git takes it; may hold credentials. */
  readonly url: string
  /** Where the mirror is; nobody else writes there. */
  readonly folder: string
  readonly groups: ProcessGroups
  readonly log: Log
  /** Whence git and ssh configuration are found. @default process.env */
  readonly environment?: NodeJS.ProcessEnv
  /** Milliseconds without a sign of life after which a fetch is ended. @default 30,000 */
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
  readonly #git: GitCommands
  /** Of the clone. */
  readonly #newGit: GitCommands
  readonly #reads = new PQueue({ concurrency: readsAtOnce })
  /** Whether the folder was found to be a good repository and nothing failed since. */
  #usable = false
  #maintenance: Promise<void> | undefined

  constructor(options: GitMirrorOptions) {
    const {
      url,
      groups,
      log,
      environment = process.env,
      idleTimeout = defaultIdleTimeout,
    } = options
    this.#remote = gitRemote(url)
    this.#folders = new MirrorFolders(options.folder)
    this.#log = log
    this.#idleTimeout = idleTimeout
    const commands = { url, groups, environment }
    this.#git = new GitCommands({ ...commands, folder: this.#folders.current })
    this.#newGit = new GitCommands({ ...commands, folder: this.#folders.next })
  }

  async open(): Promise<RepositoryRefs | undefined> {
    await this.#folders.removeLeftovers()
    if (!(await this.#folders.exists())) return undefined
    try {
      const refs = await readRefs(this.#git)
      await writeAttributes(this.#folders.current)
      this.#usable = true
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
    const asking = this.#askForHead()
    // Both conversations with the remote run at once; neither is left behind when the other fails.
    const downloading = this.#download(asking)
    const [head, download] = await Promise.allSettled([asking, downloading])
    this.#usable = false
    if (head.status === 'rejected') throw head.reason
    if (download.status === 'rejected') throw download.reason
    const git = download.value
    await setHead(git, head.value.branch ?? noDefaultBranch)
    const refs = await readRefs(git)
    if (git === this.#newGit) await this.#folders.replaceByNext()
    this.#usable = true
    this.#maintain()
    return refs
  }

  async isReachable(commit: string): Promise<boolean> {
    if (!isFullCommitId(commit)) return false
    const id = commit.toLowerCase()
    return this.#reads.add(async () => {
      // Compared, because git would also take a ref of such a name.
      const [type, found] = (await typesAndIds(this.#git, [id]))[0] ?? []
      if (type !== 'commit' || found !== id) return false
      return (await this.#git.read(['rev-list', '-n1', id, '--not', '--all'])) === ''
    })
  }

  async commitsStartingWith(prefix: string): Promise<string[]> {
    // git takes no fewer than 4 digits.
    if (!/^[0-9a-f]{4,64}$/i.test(prefix)) return []
    const args = ['rev-parse', `--disambiguate=${prefix.toLowerCase()}`]
    const objects = await this.#reads.add(() => this.#git.read(args))
    const ids = objects.split('\n').filter((id) => id !== '')
    const reachable = await Promise.all(ids.map((id) => this.isReachable(id)))
    return ids.filter((_, index) => reachable[index]).sort()
  }

  refDates(): Promise<ReadonlyMap<string, number>> {
    return readDates(this.#git)
  }

  async readFile(commit: string, path: string): Promise<string | undefined> {
    if (!isFullCommitId(commit)) throw new TypeError(`${commit} is no full commit id`)
    const object = `${commit.toLowerCase()}:${path}`
    const listed = await this.#git.read(['ls-tree', '-l', commit.toLowerCase(), '--', path])
    const [, size] = /^\d+ blob [0-9a-f]+ +(\d+)\t/.exec(listed) ?? []
    if (size === undefined || Number(size) > largestFile) return undefined
    return this.#git.read(['cat-file', 'blob', object])
  }

  async export(commit: string, folder: string): Promise<void> {
    if (!isFullCommitId(commit)) throw new TypeError(`${commit} is no full commit id`)
    // git itself pipes the archive into tar, and fails with the words of whichever side fails.
    const before = ['-c', 'tar.tree.command=tar -x -f - --no-same-owner', '-c', 'tar.umask=0022']
    const after = ['--format=tree', commit.toLowerCase()]
    await this.#git.run('archive', { before, after }, { cwd: folder, timeout: exportTimeout })
  }

  async #askForHead(): Promise<RemoteHead> {
    const lines = await this.#converse(this.#git, 'ls-remote', ['--symref'], ['HEAD'])
    return {
      // Other refs whose names end in /HEAD are listed too.
      branch: /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(lines)?.[1],
      id: /^([0-9a-f]+)\tHEAD$/m.exec(lines)?.[1],
    }
  }

  /** Fetches into the mirror, or into a clone that is to replace it. @returns which of the two */
  async #download(asking: Promise<RemoteHead>): Promise<GitCommands> {
    if (!this.#usable && !(await this.#isReadable())) {
      await this.#startClone(await asking)
      await this.#fetchInto(this.#newGit)
      return this.#newGit
    }
    try {
      await this.#fetchInto(this.#git)
    } catch (error) {
      const locked = /File exists|remove the file manually/.test(messageOf(error))
      if (!locked || !(await this.#removeStaleLocks())) throw error
      await this.#fetchInto(this.#git)
    }
    return this.#git
  }

  async #fetchInto(git: GitCommands): Promise<void> {
    await this.#converse(git, 'fetch', fetchFlags, refspecs)
  }

  /** Runs a command that talks to the remote. @returns its stdout */
  async #converse(
    git: GitCommands,
    command: string,
    flags: readonly string[],
    refs: readonly string[],
  ): Promise<string> {
    const { url, options, environment } = this.#remote
    return git.run(
      command,
      { before: [...patience, ...options], after: [...flags, '--', url, ...refs] },
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

  /** Whether there was one. */
  async #removeStaleLocks(): Promise<boolean> {
    let removed = false
    for await (const path of this.#folders.removeStaleLocks()) {
      this.#log.warn({ path }, 'removed a lock file that a killed git left in the mirror')
      removed = true
    }
    return removed
  }

  /** Packs refs, and objects when git finds it worth while. Nobody waits for it. */
  #maintain(): void {
    const tidy = async (): Promise<void> => {
      const options = { timeout: maintenanceTimeout }
      await this.#git.run('pack-refs', { after: ['--all'] }, options)
      // Detached it would outlive the service.
      const before = ['-c', 'gc.autoDetach=false']
      await this.#git.run('gc', { before, after: ['--auto', '--quiet'] }, options)
    }
    this.#maintenance ??= tidy()
      .catch((error) => this.#log.debug({ failure: messageOf(error) }, 'git maintenance failed'))
      .finally(() => {
        this.#maintenance = undefined
      })
  }
}
