/** Credentials in the URL of the remote, with a real git server that requires them. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { gitRemote, withoutCredentials } from '../../../service/adapters/git/credentials.ts'
import { GitMirror } from '../../../service/adapters/git/mirror.ts'
import { ProcessGroups } from '../../../service/adapters/process/process-groups.ts'
import { GitHttpServer } from '../../support/git-http-server.ts'
import { GitRepositoryBuilder } from '../../support/git-repository.ts'
import { silentLog } from '../../support/silent-log.ts'
import { WebServer } from '../../support/web-server.ts'

describe('the URL for the arguments of git', () => {
  test.each([
    ['https://ann:s3cret@host/r.git', 'https://host/r.git', 'ann', 's3cret'],
    ['HTTP://ann:s%26cret%20x@host:81/r@v', 'HTTP://host:81/r@v', 'ann', 's&cret x'],
    ['https://ann:p@ss:word@host/r', 'https://host/r', 'ann', 'p@ss:word'],
    ['https://ann:pa/ss@host/r', 'https://host/r', 'ann', 'pa/ss'],
    ['https://ann:100%@host/r', 'https://host/r', 'ann', '100%'],
    ['https://ann:a%0Aquit=1@host/r', 'https://host/r', 'ann', 'a%0Aquit=1'],
    ['https://token@host/r', 'https://host/r', 'token', ''],
    ['https://token:@host/r', 'https://host/r', 'token', ''],
    ['https://:s3cret@[::1]:8443', 'https://[::1]:8443', '', 's3cret'],
  ])('git gets the URL %s without its credentials', (written, url, name, password) => {
    const remote = gitRemote(written)
    expect(withoutCredentials(written)).toBe(url)
    expect(remote.url).toBe(url)
    expect(remote.environment).toEqual({
      SLIPWAY_GIT_USERNAME: name,
      SLIPWAY_GIT_PASSWORD: password,
    })
    const line = remote.options.join(' ')
    for (const secret of [name, password]) if (secret) expect(line).not.toContain(secret)
  })

  test.each([
    'https://host/r@v1',
    'https://host?x=a@b',
    'https://host',
    'ssh://git@host/r',
    'ssh://git:x@host/r',
    'git@host:o/r.git',
    'file:///srv/a@b',
    '/srv/git/r',
  ])('git gets the URL %s unchanged', (url) => {
    expect(withoutCredentials(url)).toBe(url)
    expect(gitRemote(url)).toEqual({ url, options: [], environment: {} })
  })
})

describe('a remote that requires credentials', () => {
  const user = 'robot'
  const password = 's3cret& "$x\'%'
  const encoded = encodeURIComponent(password).replace("'", '%27')

  let state: string
  let origin: GitRepositoryBuilder
  let groups: ProcessGroups
  let commit: string

  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), 'slipway-credentials-'))
    origin = await GitRepositoryBuilder.create()
    commit = await origin.commit({ a: '1' })
    groups = new ProcessGroups()
  })

  afterEach(async () => {
    await groups.killAll()
    await origin.remove()
    await rm(state, { recursive: true, force: true })
  })

  function mirror(url: string): GitMirror {
    const environment = { PATH: process.env.PATH, HOME: state }
    const folder = join(state, 'mirrors', 'm')
    return new GitMirror({ url, folder, groups, log: silentLog, environment })
  }

  /** Writes a git configuration of the user whose credential helper knows these credentials. */
  async function storeForUser(credentials: string, host: string): Promise<void> {
    await writeFile(join(state, '.gitconfig'), '[credential]\n\thelper = store\n')
    await writeFile(join(state, '.git-credentials'), `http://${credentials}@${host}\n`)
  }

  async function fetched(url: string): Promise<string | undefined> {
    return new Map((await mirror(url).fetch()).commits).get('refs/heads/main')
  }

  async function failureOf(url: string): Promise<string> {
    return fetched(url).then(
      () => '',
      (error) => error.message,
    )
  }

  test('a fetch sends the credentials, and no process has them in its arguments', async () => {
    const lines = new Set<string>()
    const collect = () => {
      for (const line of commandLines()) lines.add(line)
    }
    await using server = await GitHttpServer.start({
      folder: origin.folder,
      user,
      password,
      onRequest: collect,
    })
    const collecting = setInterval(collect, 1)
    expect(await fetched(`http://${user}:${encoded}@${server.host}/r.git`)).toBe(commit)
    clearInterval(collecting)
    expect(server.authorizations).toContain(`${user}:${password}`)
    const seen = [...lines].filter((line) => line.includes(server.host))
    expect(seen.some((line) => line.includes('remote-http'))).toBe(true)
    expect([...lines].filter((line) => line.includes('s3cret'))).toEqual([])
    await groups.killAll()
    for (const text of ['s3cret', server.host]) {
      const grep = ['-rlF', text, state]
      expect(() => execFileSync('grep', grep, { stdio: 'ignore' }), text).toThrow()
    }
  })

  test('a fetch with wrong credentials fails with a message that does not contain them', async () => {
    await using server = await GitHttpServer.start({ folder: origin.folder, user, password })
    for (const credentials of [`${user}:wr0ng`, `${user}:wr0ng%21`, 'wr0ng-token', 'wr0ng:']) {
      const message = await failureOf(`http://${credentials}@${server.host}/r.git`)
      expect(message).toMatch(/git (ls-remote|fetch) failed .*Authentication failed/)
      expect(message).not.toContain('wr0ng')
    }
  })

  test('a fetch sends a token in the place of the user name, with and without a colon', async () => {
    const options = { folder: origin.folder, user: 't0ken', password: '' }
    await using server = await GitHttpServer.start(options)
    for (const credentials of ['t0ken', 't0ken:']) {
      expect(await fetched(`http://${credentials}@${server.host}/r.git`)).toBe(commit)
    }
  })

  test("a URL without a password gets the password from the user's own helper", async () => {
    await using server = await GitHttpServer.start({ folder: origin.folder, user, password })
    await storeForUser(`other:x@${server.host}\nhttp://${user}:${encoded}`, server.host)
    expect(await fetched(`http://${user}@${server.host}/r.git`)).toBe(commit)
    await storeForUser(`${user}:${encoded}`, server.host)
    expect(await fetched(`http://${server.host}/r.git`)).toBe(commit)
  })

  test("credentials of the URL win over the user's own helper, which does not store them", async () => {
    await using server = await GitHttpServer.start({ folder: origin.folder, user, password })
    await storeForUser('other:0ther', server.host)
    expect(await fetched(`http://${user}:${encoded}@${server.host}/r.git`)).toBe(commit)
    expect(server.authorizations).not.toContain('other:0ther')
    expect(await readFile(join(state, '.git-credentials'), 'utf8')).not.toContain('s3cret')
  })

  test('a server to which the remote redirects does not get the credentials', async () => {
    await using server = await GitHttpServer.start({ folder: origin.folder, user, password })
    await using front = await WebServer.start()
    const path = '/r.git/info/refs?service=git-upload-pack'
    front.redirect(path, `http://${server.host}${path}`)
    const message = await failureOf(`http://${user}:${encoded}@127.0.0.1:${front.port}/r.git`)
    expect(message).toMatch(/could not read Username/)
    expect(server.authorizations.length).toBeGreaterThan(0)
    expect(server.authorizations.join('')).toBe('')
  })
})

/** Returns the command lines of all processes of the machine. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((id) => {
      try {
        return readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return ''
      }
    })
}
