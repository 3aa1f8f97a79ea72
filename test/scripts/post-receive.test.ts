// Real pushes to a bare repository with the hook.
import { execFile, spawn, spawnSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { chmod, copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { GitRepositoryBuilder } from '../support/git-repository.ts'
import { silentServer } from '../support/silent-server.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'
import { WebServer } from '../support/web-server.ts'
import { WebhookServer } from '../support/webhook-server.ts'

const run = promisify(execFile)
const hook = resolve(import.meta.dirname, '../../scripts/post-receive')
const secret = 'hook s3cret $x "6\'%\\'

let folder: TemporaryFolder
let origin: GitRepositoryBuilder
let bare: string

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  bare = join(folder.path, 'packages.git')
  origin = await GitRepositoryBuilder.create()
  await origin.commit({ 'default.nix': '{ }' })
  await run('git', ['init', '--quiet', '--bare', '--template=', bare])
  await mkdir(join(bare, 'hooks'))
  await copyFile(hook, join(bare, 'hooks/post-receive'))
  await origin.git('remote', 'add', 'bare', bare)
})
afterEach(async () => {
  await origin.remove()
  await folder[Symbol.asyncDispose]()
})

function configure(name: string, value: string): Promise<unknown> {
  return run('git', ['-C', bare, 'config', name, value])
}

/** Pushes, and returns what the hook prints. @throws if the push fails */
async function push(env: Record<string, string>, ...refs: string[]): Promise<string[]> {
  const { stderr } = await run('git', ['push', '--quiet', 'bare', ...refs], {
    cwd: origin.folder,
    env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', ...env },
  })
  const lines = stderr.split('\n').filter((line) => line.startsWith('remote: slipway'))
  return lines.map((line) => line.slice('remote: '.length).trimEnd())
}

async function pushedRefs(): Promise<string> {
  const { stdout } = await run('git', ['-C', bare, 'for-each-ref', '--format=%(refname)'])
  return stdout
}

describe('post-receive hook', () => {
  test('pushing a tag sends a webhook, and the hook prints that it was accepted', async () => {
    await using server = await WebhookServer.start({ secret })
    await configure('slipway.url', server.url)
    await configure('slipway.secret', secret)
    await origin.tag('release-v2')
    expect(await push({}, 'release-v2')).toEqual([
      `slipway: webhook for refs/tags/release-v2 accepted by ${server.url}`,
    ])
    expect(server.reconciles).toMatchObject([
      { provider: 'generic', refs: ['refs/tags/release-v2'] },
    ])
  })

  test('pushing several refs sends one webhook', async () => {
    await using server = await WebhookServer.start({ secret })
    await configure('slipway.url', `${server.url}/webhooks/generic`)
    await writeFile(join(bare, 'webhook-secret'), `${secret}\n`)
    await configure('slipway.secretfile', 'webhook-secret')
    for (const tag of ['a', 'größe-鍵', '"quoted"', "it's-$HOME-`id`-%s&;"]) await origin.tag(tag)
    expect(await push({}, 'main', '--tags')).toEqual([
      `slipway: webhook for 5 refs accepted by ${server.url}`,
    ])
    expect(server.reconciles).toHaveLength(1)
    expect([...(server.reconciles[0]?.refs ?? [])].sort()).toEqual([
      'refs/heads/main',
      'refs/tags/"quoted"',
      'refs/tags/a',
      'refs/tags/größe-鍵',
      "refs/tags/it's-$HOME-`id`-%s&;",
    ])
  })

  test('the webhook of a push of 120 refs names 100 of them', async () => {
    await using server = await WebhookServer.start({ secret })
    const env = { SLIPWAY_WEBHOOK_URL: server.url, SLIPWAY_WEBHOOK_SECRET: secret }
    const tags = Array.from({ length: 120 }, (_, i) => `main:refs/tags/v${i}`)
    expect(await push(env, ...tags)).toEqual([
      `slipway: webhook for 120 refs accepted by ${server.url}`,
    ])
    expect(server.reconciles[0]?.refCount).toBe(100)
  })

  test('deleting a branch sends a webhook, pushing refs other than branches and tags does not', async () => {
    await using server = await WebhookServer.start({ secret })
    const env = { SLIPWAY_WEBHOOK_URL: server.url, SLIPWAY_WEBHOOK_SECRET: secret }
    await push(env, 'main:refs/heads/old')
    await push(env, ':refs/heads/old')
    expect(server.reconciles.map(({ refs }) => refs)).toEqual([
      ['refs/heads/old'],
      ['refs/heads/old'],
    ])
    expect(await push(env, 'main:refs/notes/x')).toEqual([])
    expect(server.reconciles).toHaveLength(2)
  })

  test('with the wrong secret the push succeeds, and the hook prints why the webhook failed', async () => {
    await using server = await WebhookServer.start({ secret: 'another secret' })
    const env = { SLIPWAY_WEBHOOK_URL: server.url, SLIPWAY_WEBHOOK_SECRET: secret }
    const [line, ...others] = await push(env, 'main')
    expect(line).toMatch(
      /^slipway: the webhook failed; .* answered 401: the header x-signature-256 /,
    )
    expect(others).toEqual([])
    expect(await pushedRefs()).toBe('refs/heads/main\n')
    expect(server.outcomes).toEqual(['generic unauthorized'])
  })

  test.each([
    [{}, 'set slipway.url with git config'],
    [{ SLIPWAY_WEBHOOK_URL: 'http://x' }, 'set slipway.secretfile or slipway.secret'],
  ])(
    'without settings the push succeeds, and the hook prints which are missing: %j',
    async (env, failure) => {
      const [line] = await push(env, 'main')
      expect(line).toContain(failure)
      expect(await pushedRefs()).toBe('refs/heads/main\n')
    },
  )

  test('the hook prints the name of a secret file that cannot be read', async () => {
    await configure('slipway.url', 'http://x')
    await configure('slipway.secretfile', '/nonexistent/secret')
    expect((await push({}, 'main'))[0]).toContain('cannot read /nonexistent/secret')
  })

  test('while Slipway is down the push succeeds, and the hook shows no password', async () => {
    const port = await freePort()
    const url = `http://robot:hunter2@127.0.0.1:${port}`
    const [line] = await push({ SLIPWAY_WEBHOOK_URL: url, SLIPWAY_WEBHOOK_SECRET: secret }, 'main')
    expect(line).toContain(`http://127.0.0.1:${port} cannot be reached: curl: (7)`)
    expect(line).not.toContain('hunter2')
  })

  test('a server that does not answer delays the push by seconds only', async () => {
    await using silent = await silentServer()
    const url = `http://127.0.0.1:${silent.port}`
    const start = performance.now()
    const [line] = await push({ SLIPWAY_WEBHOOK_URL: url, SLIPWAY_WEBHOOK_SECRET: secret }, 'main')
    expect(performance.now() - start).toBeLessThan(8000)
    expect(line).toContain('curl: (28)')
  }, 15_000)

  test('the hook prints one line without control characters, whatever the server answers', async () => {
    await using other = await WebServer.start()
    const reason = `\u001b[31mred${'x'.repeat(2000)}`
    other.serve('/webhooks/generic', `\n\u0007{"accepted":false,"reason":"${reason}"}`, 500)
    const env = { SLIPWAY_WEBHOOK_URL: other.url, SLIPWAY_WEBHOOK_SECRET: secret }
    const lines = await push(env, 'main')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('answered 500: [31mredxxx')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the test is that there are none
    expect(lines[0]).not.toMatch(/[\u0000-\u001f]/)
    expect(lines[0]?.length).toBeLessThan(600)
  })
})

describe('signature of the hook', () => {
  const shells = ['sh', 'bash --posix', 'busybox sh'].filter((shell) => {
    const [program = '', ...options] = shell.split(' ')
    return spawnSync(program, [...options, '-c', 'true']).status === 0
  })
  const secrets = [
    'x',
    '6666',
    '\\\\',
    'ü鍵 %s $(id)',
    'a'.repeat(64),
    'a'.repeat(65),
    `${'ü'.repeat(100)} b`,
  ]

  describe.each(shells)('computed by %s', (shell) => {
    test.each(secrets)('the signature with the secret %j is accepted', async (key) => {
      await using server = await WebhookServer.start({ secret: key })
      const [program = '', ...options] = shell.split(' ')
      const child = spawn(program, [...options, hook], {
        cwd: bare,
        env: { ...process.env, SLIPWAY_WEBHOOK_URL: server.url, SLIPWAY_WEBHOOK_SECRET: key },
        stdio: ['pipe', 'ignore', 'pipe'],
      })
      child.stdin.end(`${'0'.repeat(40)} ${'1'.repeat(40)} refs/tags/v1\n`)
      expect(await text(child.stderr)).toBe(
        `slipway: webhook for refs/tags/v1 accepted by ${server.url}\n`,
      )
      expect(server.reconciles).toHaveLength(1)
    })
  })
})

test('neither the secret nor the password is an argument of any program that the hook runs', async () => {
  await using server = await WebhookServer.start({ secret })
  // Wrappers of all programs that the hook may start record their arguments.
  const wrappers = join(folder.path, 'bin')
  const log = join(folder.path, 'arguments')
  await mkdir(wrappers)
  const { stdout } = await run('sh', ['-c', 'printf "%s\\n" /usr/bin/* /bin/* | sort -u'])
  const recorded = /^(?:printf|echo|\[|test|od|sed|cut|tr|wc|tail|cat|git|curl|openssl)$/
  for (const program of stdout.split('\n')) {
    const name = program.slice(program.lastIndexOf('/') + 1)
    if (!recorded.test(name)) continue
    const path = join(wrappers, name)
    await rm(path, { force: true })
    const record = `{ printf '%s ' ${name} "$@"; echo; } >>'${log}'`
    await writeFile(path, `#!/bin/sh\n${record}\nexec ${program} "$@"\n`)
    await chmod(path, 0o755)
  }
  await symlink('/bin/sh', join(wrappers, 'sh'))
  const url = `${server.url.replace('//', '//robot:hunter2@')}/webhooks/generic`
  await writeFile(join(folder.path, 'secret'), secret)
  await configure('slipway.url', url)
  await configure('slipway.secretfile', join(folder.path, 'secret'))
  const child = spawn('/bin/sh', [join(bare, 'hooks/post-receive')], {
    cwd: bare,
    env: { PATH: wrappers, HOME: '/nonexistent', TMPDIR: folder.path },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  child.stdin.end(`${'0'.repeat(40)} ${'1'.repeat(40)} refs/tags/v1\n`)
  expect(await text(child.stderr)).toBe(
    `slipway: webhook for refs/tags/v1 accepted by ${server.url}\n`,
  )
  expect(server.reconciles).toHaveLength(1)
  const calls = await readFile(log, 'utf8')
  for (const name of ['git config', 'openssl dgst', 'curl --silent']) expect(calls).toContain(name)
  expect(calls).not.toContain('hunter2')
  expect(calls).not.toContain(secret)
  const signature = createHmac('sha256', secret).update('{"ref":"refs/tags/v1"}').digest('hex')
  expect(calls).not.toContain(signature)
})
