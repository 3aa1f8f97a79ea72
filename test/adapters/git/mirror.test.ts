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
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { GitRepositoryBuilder } from '../../support/git-repository.ts'
import { silentServer } from '../../support/silent-server.ts'
import { failureOf, MirrorWorkspace, tableOf } from './mirror-workspace.ts'

let workspace: MirrorWorkspace
let state: string
let origin: GitRepositoryBuilder

beforeEach(async () => {
  workspace = await MirrorWorkspace.create()
  ;({ state, origin } = workspace)
})
afterEach(() => workspace[Symbol.asyncDispose]())

const logged = () => JSON.stringify(workspace.log.lines)

describe('opening a mirror', () => {
  test('a mirror opens with the refs of the last fetch, also without the remote', async () => {
    const first = await origin.commit()
    await origin.annotatedTag('v1')
    await workspace.mirror().fetch()
    await origin.remove()
    const table = tableOf(await workspace.mirror().open())
    expect(table?.resolve('latest')?.id).toBe(first)
    expect(table?.resolve('v1')?.id).toBe(first)
  })

  test('a mirror that was never fetched has no refs', async () => {
    const mirror = workspace.mirror({ url: join(state, 'missing') })
    expect(await mirror.open()).toBeUndefined()
    await failureOf(mirror.fetch())
    expect(await workspace.mirror().open()).toBeUndefined()
    expect(workspace.log.lines).toEqual([])
  })

  test('a mirror whose first fetch failed has no refs, and the next fetch completes it', async () => {
    await origin.commit()
    await failureOf(
      workspace.mirror({ environment: await workspace.gitThatFails(['fetch']) }).fetch(),
    )
    expect(existsSync(join(state, 'mirrors', 'm.new', 'HEAD'))).toBe(true)
    expect(await workspace.mirror().open()).toBeUndefined()
    expect(tableOf(await workspace.mirror().fetch()).tags()).toEqual(['latest', 'main'])
    expect(await readdir(join(state, 'mirrors'))).toEqual(['m'])
  })

  test('a mirror that could not be read once is kept', async () => {
    const first = await origin.commit()
    await workspace.mirror().fetch()
    await workspace.restart()
    const environment = await workspace.gitThatFails(['for-each-ref', 'fetch'])
    await failureOf(workspace.mirror({ environment }).fetch())
    expect(tableOf(await workspace.mirror().open())?.resolve('latest')?.id).toBe(first)
    expect(await readdir(join(state, 'mirrors'))).toEqual(['m'])
  })

  test.each(['HEAD', 'objects', 'refs'])(
    'a mirror without %s is reported as damaged and replaced by the next fetch',
    async (part) => {
      const first = await origin.commit()
      await workspace.mirror().fetch()
      await workspace.restart()
      await rm(join(state, 'mirrors', 'm', part), { recursive: true })
      const mirror = workspace.mirror()
      expect(await mirror.open()).toBeUndefined()
      expect(logged()).toContain('damaged')
      expect(tableOf(await mirror.fetch()).resolve('latest')?.id).toBe(first)
      expect(tableOf(await workspace.mirror().open())?.resolve('latest')?.id).toBe(first)
      expect(await readdir(join(state, 'mirrors'))).toEqual(['m'])
    },
  )

  test('an old lock file of a killed git is removed, and a new one fails the fetch', async () => {
    await origin.commit()
    await workspace.mirror().fetch()
    const second = await origin.commit()
    const lock = join(state, 'mirrors', 'm', 'refs', 'heads', 'main.lock')
    await writeFile(lock, '')
    expect((await failureOf(workspace.mirror().fetch())).message).toContain('File exists')
    await utimes(lock, 0, 0)
    expect(tableOf(await workspace.mirror().fetch()).resolve('main')?.id).toBe(second)
  })
})

describe('exporting a commit', () => {
  test('an export contains the tree as committed, whatever the attributes say', async () => {
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
    const mirror = workspace.mirror()
    await mirror.fetch()

    const folder = await mkdtemp(join(state, 'export-'))
    await mirror.export(first, folder)
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
    await mirror.export(second, next)
    const bytes = (await readdir(Buffer.from(next), { encoding: 'buffer' })).map(String)
    expect(bytes).toContain(String(names.bad))
  })

  test('a failed export reports the message of git or tar', async () => {
    const first = await origin.commit({ 'dir/file': 'x' })
    const mirror = workspace.mirror()
    await mirror.fetch()
    const missing = await failureOf(mirror.export('e'.repeat(40), state))
    expect(missing.kind).toBe('unavailable')
    expect(missing.message).toMatch(
      /git archive failed .*not a tree object|not a valid object name/,
    )
    const folder = await mkdtemp(join(state, 'export-'))
    await mkdir(join(folder, 'dir/file/in-the-way'), { recursive: true })
    const blocked = await failureOf(mirror.export(first, folder))
    expect(blocked.message).toMatch(/git archive failed .*tar: dir\/file/)
    await expect(mirror.export('main', folder)).rejects.toThrow('is not a full commit id')
  })
})

describe('a remote that cannot be reached', () => {
  test('a failed fetch reports the message of git and leaves the mirror unchanged', async () => {
    const first = await origin.commit()
    const mirror = workspace.mirror()
    await mirror.fetch()
    await origin.remove()
    const failure = await failureOf(mirror.fetch())
    expect(failure.kind).toBe('unavailable')
    expect(failure.message).toMatch(
      /git ls-remote failed \(exit code 128\): .*does not (exist|appear)/,
    )
    expect(tableOf(await workspace.mirror().open())?.resolve('main')?.id).toBe(first)
    expect(await mirror.isReachable(first)).toBe(true)
  })

  test.each(['http', 'git'])(
    'a fetch over %s from a remote that sends nothing is ended with all its processes',
    async (scheme) => {
      await using server = await silentServer()
      const address = `127.0.0.1:${server.port}`
      const mirror = workspace.mirror({ url: `${scheme}://${address}/r.git`, idleTimeout: 700 })
      const start = performance.now()
      const failure = await failureOf(mirror.fetch())
      expect(failure.message).toContain('git ls-remote printed nothing for 0.7 s and was stopped')
      expect(performance.now() - start).toBeLessThan(6000)
      const left = execFileSync('ps', ['-eo', 'stat=,args='], { encoding: 'utf8' })
        .split('\n')
        .filter((line) => line.includes(address))
      expect(left).toEqual([])
    },
  )

  test('no message and no log line contains credentials of the URL', async () => {
    const server = createServer((_, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end('s3cret%21 s3cret!')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const host = `127.0.0.1:${port}/r.git`
    try {
      for (const credentials of ['ann:s3cret%21', 's3cret%21', 'ann:s3cret%21@x']) {
        const failure = await failureOf(
          workspace.mirror({ url: `http://${credentials}@${host}` }).fetch(),
        )
        expect(failure.message).toMatch(/Authentication failed|could not read|unable to access/)
        expect(failure.message + JSON.stringify(failure) + failure.stack + logged()).not.toMatch(
          /s3cret/,
        )
        expect(failure.cause).toBeUndefined()
      }
    } finally {
      server.close()
    }
  })

  test('no file of the mirror contains the URL', async () => {
    await origin.commit()
    await workspace.mirror().fetch()
    await workspace.restart()
    const grep = ['-rlF', origin.folder, join(state, 'mirrors')]
    expect(() => execFileSync('grep', grep, { stdio: 'ignore' })).toThrow()
  })
})

describe('ssh', () => {
  /** Makes an ssh that notes its arguments. */
  async function fakeSsh(): Promise<{ bin: string; calls: () => Promise<string> }> {
    const bin = join(state, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'ssh'), `#!/bin/sh\necho "$0 $*" >> ${state}/calls\nexit 255\n`)
    await chmod(join(bin, 'ssh'), 0o755)
    return { bin, calls: () => readFile(join(state, 'calls'), 'utf8') }
  }

  test('ssh is started with options that prevent prompts and hangs', async () => {
    const { bin, calls } = await fakeSsh()
    const environment = { PATH: `${bin}:${process.env.PATH}`, HOME: state }
    await failureOf(workspace.mirror({ url: 'git@host.invalid:o/r.git', environment }).fetch())
    expect(await calls()).toMatch(/BatchMode=yes .*ConnectTimeout=10 .*ServerAliveInterval=10/)
  })

  test.each(['GIT_SSH_COMMAND', 'GIT_SSH', 'core.sshCommand'])(
    '%s of the user replaces the ssh command of Slipway',
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
      await failureOf(workspace.mirror({ url: 'git@host.invalid:o/r.git', environment }).fetch())
      expect(await calls()).not.toContain('BatchMode')
    },
  )
})

test('variables of the service that name another repository have no effect on git', async () => {
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
  const mirror = workspace.mirror({ environment })
  expect(tableOf(await mirror.fetch()).resolve('main')?.id).toBe(first)
  expect((await readdir(state)).sort()).toEqual(['mirrors'])
})
