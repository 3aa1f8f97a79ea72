import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GitMirror } from '../../../service/adapters/git/mirror.ts'
import { ProcessGroups } from '../../../service/adapters/process/process-groups.ts'
import { Failure } from '../../../service/image/errors.ts'
import type { RepositoryRefs } from '../../../service/source/ports.ts'
import { RefTable } from '../../../service/source/ref-table.ts'
import type { Log } from '../../../service/telemetry/ports.ts'
import { GitRepositoryBuilder } from '../../support/git-repository.ts'
import { silentServer } from '../../support/silent-server.ts'

let state: string
let origin: GitRepositoryBuilder
let groups: ProcessGroups
let logged: string[]

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'slipway-mirror-'))
  origin = await GitRepositoryBuilder.create()
  groups = new ProcessGroups()
  logged = []
})

afterEach(async () => {
  await groups.killAll()
  await origin.remove()
  await rm(state, { recursive: true, force: true })
})

const note = (fields: object, message: string) =>
  logged.push(`${message} ${JSON.stringify(fields)}`)
const log: Log = { debug: note, info: note, warn: note, error: note }

/** Refs as the source room looks tags up in them. */
function tableOf(refs: RepositoryRefs): RefTable
function tableOf(refs: RepositoryRefs | undefined): RefTable | undefined
function tableOf(refs: RepositoryRefs | undefined): RefTable | undefined {
  return refs && new RefTable(refs.commits, refs.head)
}

function mirror(options: Partial<ConstructorParameters<typeof GitMirror>[0]> = {}): GitMirror {
  const environment = { PATH: process.env.PATH, HOME: state }
  const folder = join(state, 'mirrors', 'm')
  return new GitMirror({ url: origin.url, folder, groups, log, environment, ...options })
}

/**
 * An environment whose git fails these commands.
 * @param complain a shell command for what it says
 */
async function gitThatFails(
  commands: readonly string[],
  complain = 'echo broken',
): Promise<NodeJS.ProcessEnv> {
  const bin = join(state, 'bin')
  await mkdir(bin)
  const git = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim()
  const patterns = commands.map((command) => `*" ${command} "*`).join('|')
  const script = `#!/bin/sh\ncase " $* " in ${patterns}) ${complain} >&2; exit 1;; esac\nexec ${git} "$@"\n`
  await writeFile(join(bin, 'git'), script, { mode: 0o755 })
  return { PATH: `${bin}:${process.env.PATH}`, HOME: state }
}

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  )
  expect(error).toBeInstanceOf(Failure)
  return error as Failure
}

describe('the refs of a fetch', () => {
  test('are branches and tags, annotated and nested tags peeled, and nothing else', async () => {
    const first = await origin.commit({ a: '1' })
    await origin.tag('light')
    await origin.annotatedTag('annotated')
    await origin.annotatedTag('nested', 'refs/tags/annotated')
    await origin.annotatedTag('nested-twice', 'refs/tags/nested')
    await origin.annotatedTag('of-a-tree', 'HEAD^{tree}')
    await origin.annotatedTag('nested-tree', 'refs/tags/of-a-tree')
    await origin.tag('blob', 'HEAD:a')
    const second = await origin.commit({ a: '2' })
    await origin.branch('feature/login', first)
    const fork = await origin.git('commit-tree', '-p', second, '-m', 'fork', 'HEAD^{tree}')
    await origin.git('update-ref', 'refs/pull/1/head', fork)

    const repository = mirror()
    const table = tableOf(await repository.fetch())
    expect(Object.fromEntries(table.refs)).toEqual({
      'refs/heads/main': second,
      'refs/heads/feature/login': first,
      'refs/tags/light': first,
      'refs/tags/annotated': first,
      'refs/tags/nested': first,
      'refs/tags/nested-twice': first,
    })
    expect(table.defaultBranch).toBe('refs/heads/main')
    expect(await repository.isReachable(first)).toBe(true)
    expect(await repository.isReachable(second)).toBe(true)
    expect(await repository.isReachable(fork)).toBe(false)
  })

  test('follow moved, deleted and renamed refs', async () => {
    const first = await origin.commit()
    await origin.tag('v1')
    await origin.tag('v2')
    await origin.branch('feature')
    const repository = mirror()
    await repository.fetch()
    const second = await origin.commit()
    await origin.tag('v1')
    await origin.delete('refs/tags/v2')
    await origin.delete('refs/heads/feature')
    // Where a file was is now a folder.
    await origin.branch('feature/login', first)
    const table = tableOf(await repository.fetch())
    expect(Object.fromEntries(table.refs)).toEqual({
      'refs/heads/main': second,
      'refs/heads/feature/login': first,
      'refs/tags/v1': second,
    })
  })

  test('after a force-push no longer lead to the old commit', async () => {
    const base = await origin.commit()
    const old = await origin.commit()
    const repository = mirror()
    await repository.fetch()
    expect(await repository.isReachable(old)).toBe(true)
    await origin.branch('main', base)
    expect(tableOf(await repository.fetch()).refs.get('refs/heads/main')).toBe(base)
    expect(await repository.isReachable(old)).toBe(false)
  })

  test('know names that look like options and revisions', async () => {
    const first = await origin.commit()
    await origin.tag('--upload-pack=x')
    await origin.branch('-d')
    const table = tableOf(await mirror().fetch())
    expect(table.refs.get('refs/tags/--upload-pack=x')).toBe(first)
    expect(table.refs.get('refs/heads/-d')).toBe(first)
  })

  test('are found in a repository with SHA-256 ids', async () => {
    await origin.remove()
    origin = await GitRepositoryBuilder.create('--object-format=sha256')
    const first = await origin.commit({ a: '1' })
    expect(first).toHaveLength(64)
    const repository = mirror()
    expect(tableOf(await repository.fetch()).refs.get('refs/heads/main')).toBe(first)
    expect(await repository.isReachable(first)).toBe(true)
    expect(await repository.commitsStartingWith(first.slice(0, 50))).toEqual([first])
  })
})

describe('the default branch', () => {
  test('follows the remote', async () => {
    await origin.commit()
    await origin.branch('next')
    const repository = mirror()
    expect(tableOf(await repository.fetch()).defaultBranch).toBe('refs/heads/main')
    await origin.git('symbolic-ref', 'HEAD', 'refs/heads/next')
    expect(tableOf(await repository.fetch()).defaultBranch).toBe('refs/heads/next')
    expect(tableOf(await mirror().open())?.defaultBranch).toBe('refs/heads/next')
  })

  test('is absent while the remote has a detached HEAD', async () => {
    const first = await origin.commit()
    const repository = mirror()
    await repository.fetch()
    await origin.git('checkout', '--quiet', '--detach')
    const table = tableOf(await repository.fetch())
    expect(table.defaultBranch).toBeUndefined()
    expect(table.resolve('main')?.id).toBe(first)
    expect(tableOf(await mirror().open())?.defaultBranch).toBeUndefined()
    expect(await repository.isReachable(first)).toBe(true)
  })

  test('is not taken from a branch whose name ends in HEAD', async () => {
    const first = await origin.commit()
    await origin.git('symbolic-ref', 'refs/heads/x/HEAD', 'refs/heads/main')
    await origin.git('checkout', '--quiet', '--detach')
    expect(tableOf(await mirror().fetch()).defaultBranch).toBeUndefined()
    expect(first).toHaveLength(40)
  })
})

test('an empty repository is an empty table, before and after a restart', async () => {
  const repository = mirror()
  expect(tableOf(await repository.fetch()).tags()).toEqual([])
  expect(tableOf(await mirror().open())?.tags()).toEqual([])
  const first = await origin.commit()
  expect(tableOf(await repository.fetch()).resolve('latest')?.id).toBe(first)
})

describe('opening', () => {
  test('gives what was fetched, without the remote', async () => {
    const first = await origin.commit()
    await origin.annotatedTag('v1')
    await mirror().fetch()
    await origin.remove()
    const table = tableOf(await mirror().open())
    expect(table?.resolve('latest')?.id).toBe(first)
    expect(table?.resolve('v1')?.id).toBe(first)
  })

  test('gives nothing where nothing was fetched', async () => {
    const repository = mirror({ url: join(state, 'missing') })
    expect(await repository.open()).toBeUndefined()
    await failureOf(repository.fetch())
    expect(await mirror().open()).toBeUndefined()
    expect(logged).toEqual([])
  })

  test('gives nothing when the first fetch stopped half-way', async () => {
    await origin.commit()
    await failureOf(mirror({ environment: await gitThatFails(['fetch']) }).fetch())
    expect(existsSync(join(state, 'mirrors', 'm.new', 'HEAD'))).toBe(true)
    expect(await mirror().open()).toBeUndefined()
    expect(tableOf(await mirror().fetch()).tags()).toEqual(['latest', 'main'])
    expect(await readdir(join(state, 'mirrors'))).toEqual(['m'])
  })

  test('gives what was fetched last, though the mirror could not be read once', async () => {
    const first = await origin.commit()
    await mirror().fetch()
    await groups.killAll()
    groups = new ProcessGroups()
    const environment = await gitThatFails(['for-each-ref', 'fetch'])
    await failureOf(mirror({ environment }).fetch())
    expect(tableOf(await mirror().open())?.resolve('latest')?.id).toBe(first)
    expect(await readdir(join(state, 'mirrors'))).toEqual(['m'])
  })

  test.each(['HEAD', 'objects', 'refs'])(
    'gives nothing without %s, and a fetch heals',
    async (part) => {
      const first = await origin.commit()
      await mirror().fetch()
      await groups.killAll()
      groups = new ProcessGroups()
      await rm(join(state, 'mirrors', 'm', part), { recursive: true })
      const repository = mirror()
      expect(await repository.open()).toBeUndefined()
      expect(logged.join()).toContain('damaged')
      expect(tableOf(await repository.fetch()).resolve('latest')?.id).toBe(first)
      expect(tableOf(await mirror().open())?.resolve('latest')?.id).toBe(first)
      expect(await readdir(join(state, 'mirrors'))).toEqual(['m'])
    },
  )

  test('a lock file of a git that was killed does not stand in the way for ever', async () => {
    await origin.commit()
    await mirror().fetch()
    const second = await origin.commit()
    const lock = join(state, 'mirrors', 'm', 'refs', 'heads', 'main.lock')
    await writeFile(lock, '')
    expect((await failureOf(mirror().fetch())).message).toContain('File exists')
    await utimes(lock, 0, 0)
    expect(tableOf(await mirror().fetch()).resolve('main')?.id).toBe(second)
  })
})

describe('commits', () => {
  test('that are unknown, trees, tag objects or mere names are not reachable', async () => {
    const first = await origin.commit({ a: '1' })
    const tagObject = await origin.annotatedTag('v1')
    const tree = await origin.git('rev-parse', 'HEAD^{tree}')
    const blob = await origin.git('rev-parse', 'HEAD:a')
    const name = 'd'.repeat(64)
    await origin.branch(name)
    await origin.branch('d'.repeat(40))
    const repository = mirror()
    await repository.fetch()
    expect(await repository.isReachable(first)).toBe(true)
    expect(await repository.isReachable(first.toUpperCase())).toBe(true)
    const others = [tagObject, tree, blob, name, 'd'.repeat(40), 'e'.repeat(40), 'HEAD', '--all']
    for (const other of others) expect(await repository.isReachable(other), other).toBe(false)
  })

  test('are not reachable because git failed without a word', async () => {
    const commit = await origin.commit({ a: '1' })
    await mirror().fetch()
    const environment = await gitThatFails(['rev-list'], ':')
    await expect(mirror({ environment }).isReachable(commit)).rejects.toThrow(
      'git rev-list failed (exit code 1)',
    )
  })

  test('are looked for wherever the service was started', async () => {
    const commit = await origin.commit({ a: '1' })
    await mirror().fetch()
    const environment = await gitThatFails(['rev-list'], 'echo "in $(pwd)"')
    await expect(mirror({ environment }).isReachable(commit)).rejects.toThrow(/: in \/$/)
  })

  test('are found by the beginning of their id', async () => {
    const first = await origin.commit()
    const lost = await origin.commit()
    await origin.branch('other', lost)
    const repository = mirror()
    await repository.fetch()
    await origin.branch('main', first)
    await origin.delete('refs/heads/other')
    await repository.fetch()
    expect(await repository.commitsStartingWith(first.slice(0, 7))).toEqual([first])
    expect(await repository.commitsStartingWith(first.slice(0, 9).toUpperCase())).toEqual([first])
    expect(await repository.commitsStartingWith(lost.slice(0, 9))).toEqual([])
    expect(await repository.commitsStartingWith('0000000')).toEqual([])
    expect(await repository.commitsStartingWith('a'.repeat(50))).toEqual([])
    expect(await repository.commitsStartingWith('main')).toEqual([])
  })

  test('that share a beginning are all found, objects that are no commits left out', async () => {
    // 1500 commits: surely some share 4 digits.
    for (let i = 0; i < 4; i++) await origin.commit({ [`f${i}`]: String(i) })
    const tree = await origin.git('rev-parse', 'HEAD^{tree}')
    let input = ''
    for (let i = 0; i < 1500; i++)
      input += `commit refs/heads/many\ncommitter a <a@b> ${i} +0000\ndata 0\n\n`
    const { GIT_DIR: _, ...env } = process.env
    execFileSync('git', ['fast-import', '--quiet'], { cwd: origin.folder, input, env })
    const ids = (await origin.git('rev-list', '--all')).split('\n')
    const prefixes = Map.groupBy(ids, (id) => id.slice(0, 4))
    const [prefix, sharing] = [...prefixes].find(([, group]) => group.length > 1) ?? []
    const repository = mirror()
    await repository.fetch()
    expect(await repository.commitsStartingWith(prefix ?? '')).toEqual(sharing?.sort())
    expect(await repository.commitsStartingWith(tree.slice(0, 12))).toEqual([])
  })
})

test('questions about commits run no more than four gits at a time', async () => {
  const first = await origin.commit()
  await mirror().fetch()
  const wrapper = join(state, 'bin')
  await mkdir(wrapper)
  const git = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim()
  const steps = join(state, 'steps')
  const script = `#!/bin/sh\necho begin >> ${steps}\nsleep 0.03\n${git} "$@"; code=$?\necho end >> ${steps}\nexit $code\n`
  await writeFile(join(wrapper, 'git'), script, { mode: 0o755 })
  const environment = { PATH: `${wrapper}:${process.env.PATH}`, HOME: state }
  const repository = mirror({ environment })
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      index % 2 === 0
        ? repository.isReachable(first)
        : repository.commitsStartingWith(first.slice(0, 7)),
    ),
  )
  expect(answers).toEqual(Array.from({ length: 25 }, () => [true, [first]]).flat())
  let running = 0
  let most = 0
  for (const step of (await readFile(steps, 'utf8')).trim().split('\n')) {
    running += step === 'begin' ? 1 : -1
    most = Math.max(most, running)
  }
  expect(running).toBe(0)
  expect(most).toBe(4)
}, 30_000)

describe('exporting', () => {
  test('gives the tree as it was committed', async () => {
    const first = await origin.commit({
      'default.nix': '{ }: { }',
      'dir/file': 'x',
      run: { executable: '#!/bin/sh\n' },
      link: { link: 'dir/file' },
      'links/up': { link: '../../outside' },
      '.gitattributes': [
        'dir export-ignore',
        'default.nix export-ignore',
        'subst export-subst',
        'id ident',
        'crlf text eol=crlf',
        'other working-tree-encoding=UTF-16LE',
      ].join('\n'),
      subst: '$Format:%H$',
      id: '$Id$',
      crlf: 'a\nb\n',
      other: 'text',
    })
    const names = { bad: Buffer.from([0x62, 0xff]) }
    await writeFile(Buffer.concat([Buffer.from(`${origin.folder}/`), names.bad]), 'bytes')
    const second = await origin.commit({ 'dir/file': 'y' })
    const repository = mirror()
    await repository.fetch()

    const folder = await mkdtemp(join(state, 'export-'))
    await repository.export(first, folder)
    const read = (path: string) => readFile(join(folder, path), 'utf8')
    expect(await read('default.nix')).toBe('{ }: { }')
    expect(await read('dir/file')).toBe('x')
    expect(await read('subst')).toBe('$Format:%H$')
    expect(await read('id')).toBe('$Id$')
    expect(await read('crlf')).toBe('a\nb\n')
    expect(await read('other')).toBe(await origin.git('show', 'HEAD:other'))
    expect(await readlink(join(folder, 'link'))).toBe('dir/file')
    expect(await readlink(join(folder, 'links/up'))).toBe('../../outside')
    expect((await lstat(join(folder, 'run'))).mode & 0o777).toBe(0o755)
    expect(await lstat(join(folder, 'dir/file'))).toMatchObject({ uid: process.getuid?.() })
    expect((await lstat(join(folder, 'dir/file'))).mode & 0o111).toBe(0)
    expect(await readdir(folder)).not.toContain('.git')

    const next = await mkdtemp(join(state, 'export-'))
    await repository.export(second, next)
    const bytes = (await readdir(Buffer.from(next), { encoding: 'buffer' })).map(String)
    expect(bytes).toContain(String(names.bad))
  })

  test('says what either side has to say when it fails', async () => {
    const first = await origin.commit({ 'dir/file': 'x' })
    const repository = mirror()
    await repository.fetch()
    const missing = await failureOf(repository.export('e'.repeat(40), state))
    expect(missing.kind).toBe('unavailable')
    expect(missing.message).toMatch(
      /git archive failed .*not a tree object|not a valid object name/,
    )
    const folder = await mkdtemp(join(state, 'export-'))
    await mkdir(join(folder, 'dir/file/in-the-way'), { recursive: true })
    const blocked = await failureOf(repository.export(first, folder))
    expect(blocked.message).toMatch(/git archive failed .*tar: dir\/file/)
    await expect(repository.export('main', folder)).rejects.toThrow('no full commit id')
  })
})

describe('a remote that is out of reach', () => {
  test('fails with the words of git, and the mirror stays as it was', async () => {
    const first = await origin.commit()
    const repository = mirror()
    await repository.fetch()
    await origin.remove()
    const failure = await failureOf(repository.fetch())
    expect(failure.kind).toBe('unavailable')
    expect(failure.message).toMatch(
      /git ls-remote failed \(exit code 128\): .*does not (exist|appear)/,
    )
    expect(tableOf(await mirror().open())?.resolve('main')?.id).toBe(first)
    expect(await repository.isReachable(first)).toBe(true)
  })

  test.each(['http', 'git'])(
    'and hangs over %s is given up, with no process left',
    async (scheme) => {
      await using server = await silentServer()
      const address = `127.0.0.1:${server.port}`
      const repository = mirror({ url: `${scheme}://${address}/r.git`, idleTimeout: 700 })
      const start = performance.now()
      const failure = await failureOf(repository.fetch())
      expect(failure.message).toContain(
        'git ls-remote gave no sign of life for 0.7 s and was stopped',
      )
      expect(performance.now() - start).toBeLessThan(6000)
      const left = execFileSync('ps', ['-eo', 'stat=,args='], { encoding: 'utf8' })
        .split('\n')
        .filter((line) => line.includes(address))
      expect(left).toEqual([])
    },
  )

  test('never sees its credentials in a message, a log line or the mirror', async () => {
    const server = createServer((_, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end('s3cret%21 s3cret!')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const host = `127.0.0.1:${port}/r.git`
    try {
      for (const credentials of ['ann:s3cret%21', 's3cret%21', 'ann:s3cret%21@x']) {
        const failure = await failureOf(mirror({ url: `http://${credentials}@${host}` }).fetch())
        expect(failure.message).toMatch(/Authentication failed|could not read|unable to access/)
        expect(failure.message + JSON.stringify(failure) + failure.stack + logged).not.toMatch(
          /s3cret/,
        )
        expect(failure.cause).toBeUndefined()
      }
    } finally {
      server.close()
    }
  })

  test('never leaves the URL on disk', async () => {
    await origin.commit()
    await mirror().fetch()
    await groups.killAll()
    const grep = ['-rlF', origin.folder, join(state, 'mirrors')]
    expect(() => execFileSync('grep', grep, { stdio: 'ignore' })).toThrow()
  })
})

describe('ssh', () => {
  /** An ssh that writes down how it was called. */
  async function fakeSsh(): Promise<{ bin: string; calls: () => Promise<string> }> {
    const bin = join(state, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'ssh'), `#!/bin/sh\necho "$0 $*" >> ${state}/calls\nexit 255\n`)
    await chmod(join(bin, 'ssh'), 0o755)
    return { bin, calls: () => readFile(join(state, 'calls'), 'utf8') }
  }

  test('never asks and never hangs', async () => {
    const { bin, calls } = await fakeSsh()
    const environment = { PATH: `${bin}:${process.env.PATH}`, HOME: state }
    await failureOf(mirror({ url: 'git@host.invalid:o/r.git', environment }).fetch())
    expect(await calls()).toMatch(/BatchMode=yes .*ConnectTimeout=10 .*ServerAliveInterval=10/)
  })

  test.each(['GIT_SSH_COMMAND', 'GIT_SSH', 'core.sshCommand'])(
    '%s of the user wins',
    async (way) => {
      const { bin, calls } = await fakeSsh()
      const command = join(bin, 'ssh')
      const environment: Record<string, string | undefined> = {
        PATH: process.env.PATH,
        HOME: state,
      }
      if (way === 'core.sshCommand') {
        await writeFile(join(state, '.gitconfig'), `[core]\n\tsshCommand = ${command}\n`)
      } else environment[way] = command
      await failureOf(mirror({ url: 'git@host.invalid:o/r.git', environment }).fetch())
      expect(await calls()).not.toContain('BatchMode')
    },
  )
})

test('variables that name another repository do not lead git astray', async () => {
  const first = await origin.commit()
  const environment = {
    PATH: process.env.PATH,
    HOME: state,
    GIT_DIR: join(state, 'elsewhere'),
    GIT_WORK_TREE: state,
    GIT_INDEX_FILE: join(state, 'index'),
    GIT_OBJECT_DIRECTORY: join(state, 'objects'),
    GIT_NAMESPACE: 'n',
    GIT_TRACE: '1',
  }
  const repository = mirror({ environment })
  expect(tableOf(await repository.fetch()).resolve('main')?.id).toBe(first)
  expect((await readdir(state)).sort()).toEqual(['mirrors'])
})
