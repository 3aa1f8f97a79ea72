import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  HttpChannelServer,
  type HttpChannelServerOptions,
} from '../../../service/adapters/channels/channel-server.ts'
import { ProcessGroups } from '../../../service/adapters/process/process-groups.ts'
import { silentServer } from '../../support/silent-server.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'
import { WebServer } from '../../support/web-server.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)
const revisionPath = '/nixos-24.11/git-revision'
const tarballPath = `/archive/${A}.tar.gz`

let web: WebServer
let folder: TemporaryFolder
let target: string

beforeEach(async () => {
  web = await WebServer.start()
  folder = await TemporaryFolder.create()
  target = join(folder.path, 'target')
  for (const name of ['target', 'temporary', 'tree']) await mkdir(join(folder.path, name))
})
afterEach(async () => {
  await web[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

function channelServer(options: Partial<HttpChannelServerOptions> = {}): HttpChannelServer {
  return new HttpChannelServer({
    channelUrl: `${web.url}/{channel}/git-revision`,
    tarballUrl: `${web.url}/archive/{commit}.tar.gz`,
    compareUrl: `${web.url}/compare/{branch}...{commit}`,
    folder: join(folder.path, 'tarballs'),
    temporaryFolder: join(folder.path, 'temporary'),
    groups: new ProcessGroups(),
    ...options,
  })
}

/** A tiny package set below one top folder, as hosting services pack it. */
async function tarball(compression = '--gzip', file = 'default.nix'): Promise<Buffer> {
  const tree = join(folder.path, 'tree', 'nixpkgs-a')
  await mkdir(join(tree, 'pkgs'), { recursive: true })
  await writeFile(join(tree, file), '{ system, ... }: { }\n')
  // Larger than what fits into a socket's buffers, and incompressible.
  await writeFile(join(tree, 'pkgs', 'noise'), crypto.getRandomValues(new Uint8Array(65_536)))
  await writeFile(join(tree, 'run'), '#!/bin/sh\n', { mode: 0o755 })
  await symlink('default.nix', join(tree, 'link')).catch(() => {})
  const args = ['-c', compression, '-C', join(folder.path, 'tree'), 'nixpkgs-a']
  return execFileSync('tar', args, { maxBuffer: 10_000_000 })
}

const unavailable = (message: string) => ({
  kind: 'unavailable',
  message: expect.stringContaining(message),
})

describe('resolving a channel', () => {
  test('reads the commit behind redirects', async () => {
    web.redirect(revisionPath, '/releases/1')
    web.redirect('/releases/1', '/releases/2')
    web.serve('/releases/2', `${A.toUpperCase()}\n`)
    expect(await channelServer().resolve('nixos-24.11')).toBe(A)
  })

  test('gives nothing for a channel that does not exist', async () => {
    expect(await channelServer().resolve('nixos-24.11')).toBeUndefined()
    web.serve(revisionPath, 'gone', 410)
    expect(await channelServer().resolve('nixos-24.11')).toBeUndefined()
  })

  test.each([
    [
      'a page',
      '<!doctype html>\n<title>Sign in</title>',
      '"<!doctype html> <title>Sign in</title>"',
    ],
    ['an abbreviated commit', A.slice(0, 12), `"${A.slice(0, 12)}"`],
    ['nothing', '', '""'],
    ['two commits', `${A}\n${B}`, 'no commit id'],
  ])('refuses %s instead of a commit', async (_, content, quoted) => {
    web.serve(revisionPath, content)
    await expect(channelServer().resolve('nixos-24.11')).rejects.toMatchObject(unavailable(quoted))
  })

  test('refuses an answer without end', async () => {
    web.serve(revisionPath, 'x'.repeat(1_000_000))
    await expect(channelServer().resolve('nixos-24.11')).rejects.toMatchObject(
      unavailable('more than 65536 bytes'),
    )
  })

  test.each([403, 500, 503])('says so when the server answers %d', async (status) => {
    web.serve(revisionPath, 'no', status)
    await expect(channelServer().resolve('nixos-24.11')).rejects.toMatchObject(
      unavailable(`${web.url}: the server answered ${status}`),
    )
  })

  test('says so when nobody listens', async () => {
    const channelUrl = `http://127.0.0.1:${(await unusedPort()).port}/{channel}`
    await expect(channelServer({ channelUrl }).resolve('x')).rejects.toMatchObject(
      unavailable('ECONNREFUSED'),
    )
  })

  test('gives up on a server that says nothing', async () => {
    await using silent = await silentServer()
    const channelUrl = `http://127.0.0.1:${silent.port}/{channel}`
    const server = channelServer({ channelUrl, answerTimeout: 100 })
    await expect(server.resolve('x')).rejects.toMatchObject(unavailable('0.1 s'))
  })

  test('gives up on a server that never ends', async () => {
    web.pages.set(revisionPath, (_, response) => {
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    })
    const server = channelServer({ answerTimeout: 200 })
    await expect(server.resolve('nixos-24.11')).rejects.toMatchObject(unavailable('0.2 s'))
  })

  test('ends at once when the service does', async () => {
    await using silent = await silentServer()
    const server = channelServer({ channelUrl: `http://127.0.0.1:${silent.port}/{channel}` })
    const resolving = server.resolve('x')
    server.close()
    await expect(resolving).rejects.toMatchObject(unavailable('shutting down'))
  })

  test('sends the credentials of the address, and tells them to nobody', async () => {
    const channelUrl = `http://someone:s3cr%40et@127.0.0.1:${web.port}/{channel}/git-revision`
    const server = channelServer({ channelUrl })
    web.serve(revisionPath, A)
    expect(await server.resolve('nixos-24.11')).toBe(A)
    const sent = Buffer.from('someone:s3cr@et').toString('base64')
    expect(web.requests[0]?.headers.authorization).toBe(`Basic ${sent}`)
    web.serve(revisionPath, 'no commit')
    const garbage: Error = await server.resolve('nixos-24.11').catch((error) => error)
    await web[Symbol.asyncDispose]()
    const refused: Error = await server.resolve('nixos-24.11').catch((error) => error)
    web = await WebServer.start()
    for (const error of [garbage, refused]) {
      expect(error.message).toContain('http://127.0.0.1')
      expect(error.message).not.toMatch(/s3cr|someone/)
      expect(error.cause).toBeUndefined()
    }
  })
})

test('what stands in the path or the query of an address is told to nobody', async () => {
  const secret = 'hush-hush'
  const { url } = web
  const address = `${web.url}/${secret}/{channel}{branch}{commit}?key=${secret}`
  const server = channelServer({ channelUrl: address, tarballUrl: address, compareUrl: address })
  const questions = [
    () => server.resolve('nixos-24.11'),
    () => server.isReachable(A, ['master']),
    () => server.download(A, target),
  ]
  const messages: string[] = []
  const ask = async () => {
    for (const question of questions) {
      await question().catch(({ message }: Error) => messages.push(message))
    }
  }
  await ask()
  for (const seen of web.requests) web.serve(seen.path, 'no', 500)
  await ask()
  for (const seen of web.requests) web.redirect(seen.path, seen.path)
  await ask()
  await web[Symbol.asyncDispose]()
  await ask()
  web = await WebServer.start()
  expect(messages).toHaveLength(10)
  for (const message of messages) {
    expect(message).toContain(url)
    expect(message).not.toContain(secret)
  }
})

describe('a commit is reachable', () => {
  test.each([
    ['behind', true],
    ['identical', true],
    ['ahead', false],
    ['diverged', false],
  ])('if it is %s: %s', async (status, expected) => {
    web.serve(`/compare/master...${A}`, JSON.stringify({ status, ahead_by: 0 }))
    expect(await channelServer().isReachable(A, ['master'])).toBe(expected)
  })

  test('from any of the branches; one that is missing does not matter', async () => {
    web.serve(`/compare/nixos-24.11...${A}`, JSON.stringify({ status: 'diverged' }))
    web.serve(`/compare/master...${A}`, JSON.stringify({ status: 'behind' }))
    const branches = ['missing', 'nixos-24.11', 'master']
    expect(await channelServer().isReachable(A, branches)).toBe(true)
    expect(await channelServer().isReachable(B, branches)).toBe(false)
  })

  test('nobody knows when the server limits the rate or answers something else', async () => {
    web.serve(`/compare/master...${A}`, 'slow down', 403)
    await expect(channelServer().isReachable(A, ['master'])).rejects.toMatchObject(
      unavailable('answered 403'),
    )
    web.serve(`/compare/master...${A}`, '<html>')
    await expect(channelServer().isReachable(A, ['master'])).rejects.toMatchObject(
      unavailable('no comparison'),
    )
  })

  test('always, without an address for comparisons', async () => {
    const server = new HttpChannelServer({
      channelUrl: `${web.url}/{channel}`,
      tarballUrl: `${web.url}/{commit}`,
      folder: folder.path,
      temporaryFolder: folder.path,
      groups: new ProcessGroups(),
    })
    expect(await server.isReachable(A, ['master'])).toBe(true)
  })
})

describe('a tree', () => {
  test.each(['--gzip', '--xz', '--zstd'])(
    'is unpacked from a tarball (%s)',
    async (compression) => {
      web.serve(tarballPath, await tarball(compression))
      await channelServer().download(A, target)
      expect((await readdir(target)).sort()).toEqual(['default.nix', 'link', 'pkgs', 'run'])
      expect(await readFile(join(target, 'link'), 'utf8')).toContain('system')
      expect((await stat(join(target, 'run'))).mode & 0o777).toBe(0o755)
      expect(await readdir(join(folder.path, 'temporary'))).toEqual([])
    },
  )

  test('is found behind a redirect', async () => {
    web.redirect(tarballPath, '/storage/1')
    web.serve('/storage/1', await tarball())
    await channelServer().download(A, target)
    expect(await readdir(target)).toContain('default.nix')
  })

  test('is downloaded once, and unpacked without a network from then on', async () => {
    web.serve(tarballPath, await tarball())
    const server = channelServer()
    const restarted = channelServer()
    await server.download(A, target)
    await web[Symbol.asyncDispose]()
    const again = join(folder.path, 'again')
    await mkdir(again)
    await restarted.download(A, again)
    expect(await readdir(again)).toContain('default.nix')
    web = await WebServer.start()
  })

  test('is kept for the four commits that were used last, besides those to be kept', async () => {
    const content = await tarball()
    const server = channelServer()
    server.keep(['0'.repeat(40)])
    for (let index = 0; index < 6; index++) {
      const commit = String(index).repeat(40)
      web.serve(`/archive/${commit}.tar.gz`, content)
      const into = join(folder.path, `target-${index}`)
      await mkdir(into)
      await server.download(commit, into)
    }
    const kept = await readdir(join(folder.path, 'tarballs'))
    expect(kept.map((name) => name[0]).sort()).toEqual(['0', '2', '3', '4', '5'])
  })

  test('can be had without the server, however many others were, if it is to be kept', async () => {
    const content = await tarball()
    const server = channelServer()
    server.keep([A])
    for (const commit of [A, ...['1', '2', '3', '4', '5'].map((digit) => digit.repeat(40))]) {
      web.serve(`/archive/${commit}.tar.gz`, content)
      const into = join(folder.path, `target-${commit}`)
      await mkdir(into)
      await server.download(commit, into)
    }
    web.pages.clear()
    await server.download(A, target)
    expect(await readdir(target)).toContain('default.nix')
  })

  test('of a commit that does not exist is unknown', async () => {
    await expect(channelServer().download(A, target)).rejects.toMatchObject({
      kind: 'manifest-unknown',
      message: `there is no nixpkgs commit ${A}: ${web.url} answered 404`,
    })
  })

  test.each([
    ['is cut', (response: { destroy(): void }) => response.destroy(), 'broke off'],
    ['stops coming', () => {}, 'nothing came for 0.2 s'],
  ])('whose tarball %s is an error, and comes whole the next time', async (_, then, reason) => {
    const content = await tarball()
    web.serveHalf(tarballPath, content, then)
    const server = channelServer({ idleTimeout: 200 })
    await expect(server.download(A, target)).rejects.toMatchObject(unavailable(reason))
    expect(await readdir(target)).toEqual([])
    expect(await readdir(join(folder.path, 'temporary'))).toEqual([])
    web.serve(tarballPath, content)
    await server.download(A, target)
    expect(await readdir(target)).toContain('default.nix')
  })

  test('that comes slowly, but comes, is waited for', async () => {
    const content = await tarball()
    web.serveHalf(tarballPath, content, (response) => {
      let sent = content.length / 2
      const timer = setInterval(() => {
        const end = Math.min(content.length, sent + 8192)
        response.write(content.subarray(sent, end))
        sent = end
        if (sent >= content.length) {
          clearInterval(timer)
          response.end()
        }
      }, 100)
    })
    await channelServer({ idleTimeout: 300 }).download(A, target)
    expect(await readdir(target)).toContain('default.nix')
  })

  test.each([
    ['half a tarball as if it were all', async () => (await tarball()).subarray(0, 30_000), 'gzip'],
    ['a page', async () => Buffer.from('<html>'), 'compressed neither by gzip'],
    ['nothing', async () => Buffer.alloc(0), 'compressed neither by gzip'],
    [
      'no tar file',
      async () => gzipSync('hello '.repeat(1000)),
      'does not look like a tar archive',
    ],
    ['no package set', async () => tarball('--gzip', 'other.nix'), 'no default.nix'],
  ])('is not made from %s, which is not kept', async (_, content, reason) => {
    web.serve(tarballPath, await content())
    const server = channelServer()
    await expect(server.download(A, target)).rejects.toMatchObject(unavailable(reason))
    expect(await readdir(join(folder.path, 'tarballs'))).toEqual([])
  })

  describe('that cannot be unpacked at the moment leaves the tarball as it is', () => {
    const kept = () => readdir(join(folder.path, 'tarballs'))

    test('when there is no tar, or none of its helpers', async () => {
      web.serve(tarballPath, await tarball('--xz'))
      const { PATH } = process.env
      const bin = join(folder.path, 'bin')
      await mkdir(bin)
      try {
        process.env.PATH = bin
        const missing = unavailable('cannot start tar')
        await expect(channelServer().download(A, target)).rejects.toMatchObject(missing)
        expect(await kept()).toEqual([A])
        const tar = execFileSync('sh', ['-c', 'command -v tar'], {
          env: { PATH },
          encoding: 'utf8',
        })
        await symlink(tar.trim(), join(bin, 'tar'))
        await expect(channelServer().download(A, target)).rejects.toMatchObject(unavailable('xz'))
        expect(await kept()).toEqual([A])
      } finally {
        process.env.PATH = PATH
      }
    })

    test('when it cannot be written', async () => {
      web.serve(tarballPath, await tarball())
      await mkdir(join(target, 'default.nix', 'in-the-way'), { recursive: true })
      await expect(channelServer().download(A, target)).rejects.toMatchObject(
        unavailable('default.nix: Cannot open'),
      )
      expect(await kept()).toEqual([A])
    })

    test('when the service is shutting down', async () => {
      web.serve(tarballPath, await tarball())
      const groups = new ProcessGroups()
      await groups.killAll()
      await expect(channelServer({ groups }).download(A, target)).rejects.toMatchObject(
        unavailable('shutting down'),
      )
      expect(await kept()).toEqual([A])
    })
  })

  test('is only asked for by a full commit', async () => {
    await expect(channelServer().download('../../etc', target)).rejects.toThrow(TypeError)
    expect(web.requests).toEqual([])
  })
})

/** A port where nobody listens. */
async function unusedPort(): Promise<{ port: number }> {
  const server = await WebServer.start()
  const { port } = server
  await server[Symbol.asyncDispose]()
  return { port }
}
