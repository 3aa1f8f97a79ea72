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

/** A tarball of a tiny package set with one top folder, as hosting services make it. */
async function tarball(compression = '--gzip', file = 'default.nix'): Promise<Buffer> {
  const tree = join(folder.path, 'tree', 'nixpkgs-a')
  await mkdir(join(tree, 'pkgs'), { recursive: true })
  await writeFile(join(tree, file), '{ system, ... }: { }\n')
  // Incompressible, and larger than the buffers of a socket.
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
  test('resolve reads the commit behind redirects', async () => {
    web.redirect(revisionPath, '/releases/1')
    web.redirect('/releases/1', '/releases/2')
    web.serve('/releases/2', `${A.toUpperCase()}\n`)
    expect(await channelServer().resolve('nixos-24.11')).toBe(A)
  })

  test('resolve of a channel that does not exist is undefined', async () => {
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
    ['two commits', `${A}\n${B}`, 'not a commit id'],
  ])('resolve refuses %s instead of a commit', async (_, content, quoted) => {
    web.serve(revisionPath, content)
    await expect(channelServer().resolve('nixos-24.11')).rejects.toMatchObject(unavailable(quoted))
  })

  test('resolve refuses a response of more than 64 KiB', async () => {
    web.serve(revisionPath, 'x'.repeat(1_000_000))
    await expect(channelServer().resolve('nixos-24.11')).rejects.toMatchObject(
      unavailable('more than 65536 bytes'),
    )
  })

  test.each([403, 500, 503])('resolve reports that the server answered %d', async (status) => {
    web.serve(revisionPath, 'no', status)
    await expect(channelServer().resolve('nixos-24.11')).rejects.toMatchObject(
      unavailable(`${web.url}: the server answered ${status}`),
    )
  })

  test('resolve reports a refused connection', async () => {
    const channelUrl = `http://127.0.0.1:${(await unusedPort()).port}/{channel}`
    await expect(channelServer({ channelUrl }).resolve('x')).rejects.toMatchObject(
      unavailable('ECONNREFUSED'),
    )
  })

  test('resolve fails when the server sends nothing within the time limit', async () => {
    await using silent = await silentServer()
    const channelUrl = `http://127.0.0.1:${silent.port}/{channel}`
    const server = channelServer({ channelUrl, responseTimeout: 100 })
    await expect(server.resolve('x')).rejects.toMatchObject(unavailable('0.1 s'))
  })

  test('resolve fails when the response does not end within the time limit', async () => {
    web.pages.set(revisionPath, (_, response) => {
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    })
    const server = channelServer({ responseTimeout: 200 })
    await expect(server.resolve('nixos-24.11')).rejects.toMatchObject(unavailable('0.2 s'))
  })

  test('close ends a running resolve at once', async () => {
    await using silent = await silentServer()
    const server = channelServer({ channelUrl: `http://127.0.0.1:${silent.port}/{channel}` })
    const resolving = server.resolve('x')
    server.close()
    await expect(resolving).rejects.toMatchObject(unavailable('shutting down'))
  })

  test('resolve sends the credentials of the URL, and no message contains them', async () => {
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

test('no message contains the path or the query of a URL', async () => {
  const secret = 'hush-hush'
  const { url } = web
  const address = `${web.url}/${secret}/{channel}{branch}{commit}?key=${secret}`
  const server = channelServer({ channelUrl: address, tarballUrl: address, compareUrl: address })
  const calls = [
    () => server.resolve('nixos-24.11'),
    () => server.isReachable(A, ['master']),
    () => server.download(A, target),
  ]
  const messages: string[] = []
  const callAll = async () => {
    for (const call of calls) {
      await call().catch(({ message }: Error) => messages.push(message))
    }
  }
  await callAll()
  for (const seen of web.requests) web.serve(seen.path, 'no', 500)
  await callAll()
  for (const seen of web.requests) web.redirect(seen.path, seen.path)
  await callAll()
  await web[Symbol.asyncDispose]()
  await callAll()
  web = await WebServer.start()
  expect(messages).toHaveLength(10)
  for (const message of messages) {
    expect(message).toContain(url)
    expect(message).not.toContain(secret)
  }
})

describe('isReachable', () => {
  test.each([
    ['behind', true],
    ['identical', true],
    ['ahead', false],
    ['diverged', false],
  ])('a commit with the status %s is reachable: %s', async (status, expected) => {
    web.serve(`/compare/master...${A}`, JSON.stringify({ status, ahead_by: 0 }))
    expect(await channelServer().isReachable(A, ['master'])).toBe(expected)
  })

  test('a commit is reachable from any of the branches, even if one is missing', async () => {
    web.serve(`/compare/nixos-24.11...${A}`, JSON.stringify({ status: 'diverged' }))
    web.serve(`/compare/master...${A}`, JSON.stringify({ status: 'behind' }))
    const branches = ['missing', 'nixos-24.11', 'master']
    expect(await channelServer().isReachable(A, branches)).toBe(true)
    expect(await channelServer().isReachable(B, branches)).toBe(false)
  })

  test('isReachable fails when the server limits the rate or sends no comparison', async () => {
    web.serve(`/compare/master...${A}`, 'slow down', 403)
    await expect(channelServer().isReachable(A, ['master'])).rejects.toMatchObject(
      unavailable('answered 403'),
    )
    web.serve(`/compare/master...${A}`, '<html>')
    await expect(channelServer().isReachable(A, ['master'])).rejects.toMatchObject(
      unavailable('not a comparison'),
    )
  })

  test('every commit is reachable without a compareUrl', async () => {
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

describe('download', () => {
  test.each(['--gzip', '--xz', '--zstd'])(
    'a source tree is unpacked from a tarball (%s)',
    async (compression) => {
      web.serve(tarballPath, await tarball(compression))
      await channelServer().download(A, target)
      expect((await readdir(target)).sort()).toEqual(['default.nix', 'link', 'pkgs', 'run'])
      expect(await readFile(join(target, 'link'), 'utf8')).toContain('system')
      expect((await stat(join(target, 'run'))).mode & 0o777).toBe(0o755)
      expect(await readdir(join(folder.path, 'temporary'))).toEqual([])
    },
  )

  test('a tarball behind a redirect is downloaded', async () => {
    web.redirect(tarballPath, '/storage/1')
    web.serve('/storage/1', await tarball())
    await channelServer().download(A, target)
    expect(await readdir(target)).toContain('default.nix')
  })

  test('a tarball is downloaded once, and unpacked without a network from then on', async () => {
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

  test('the tarballs of the four last used commits are kept, besides those that keep() names', async () => {
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

  test('a tarball that keep() names needs no server, however many others were downloaded', async () => {
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

  test('download of a commit that does not exist is manifest-unknown', async () => {
    await expect(channelServer().download(A, target)).rejects.toMatchObject({
      kind: 'manifest-unknown',
      message: `there is no nixpkgs commit ${A}: ${web.url} answered 404`,
    })
  })

  test.each([
    ['breaks off', (response: { destroy(): void }) => response.destroy(), 'broke off'],
    ['stops', () => {}, 'no byte arrived for 0.2 s'],
  ])('a download that %s fails, and the next one is complete', async (_, then, failure) => {
    const content = await tarball()
    web.serveHalf(tarballPath, content, then)
    const server = channelServer({ idleTimeout: 200 })
    await expect(server.download(A, target)).rejects.toMatchObject(unavailable(failure))
    expect(await readdir(target)).toEqual([])
    expect(await readdir(join(folder.path, 'temporary'))).toEqual([])
    web.serve(tarballPath, content)
    await server.download(A, target)
    expect(await readdir(target)).toContain('default.nix')
  })

  test('a download that is slow but does not stop is completed', async () => {
    const content = await tarball()
    web.serveHalf(tarballPath, content, (response) => {
      let sent = content.length / 2
      const timer = setInterval(() => {
        const end = Math.min(content.length, sent + 1500)
        response.write(content.subarray(sent, end))
        sent = end
        if (sent >= content.length) {
          clearInterval(timer)
          response.end()
        }
      }, 50)
    })
    // The transfer takes longer than the idle timeout, but each piece comes in time.
    await channelServer({ idleTimeout: 1000 }).download(A, target)
    expect(await readdir(target)).toContain('default.nix')
  })

  test.each([
    ['half a tarball', async () => (await tarball()).subarray(0, 30_000), 'gzip'],
    ['an HTML page', async () => Buffer.from('<html>'), 'not compressed with gzip'],
    ['an empty file', async () => Buffer.alloc(0), 'not compressed with gzip'],
    [
      'a file that is not a tar archive',
      async () => gzipSync('hello '.repeat(1000)),
      'does not look like a tar archive',
    ],
    ['a tree without default.nix', async () => tarball('--gzip', 'other.nix'), 'no default.nix'],
  ])('download refuses %s and deletes it', async (_, content, failure) => {
    web.serve(tarballPath, await content())
    const server = channelServer()
    await expect(server.download(A, target)).rejects.toMatchObject(unavailable(failure))
    expect(await readdir(join(folder.path, 'tarballs'))).toEqual([])
  })

  describe('failures that do not depend on the tarball', () => {
    const kept = () => readdir(join(folder.path, 'tarballs'))

    test('the tarball is kept when tar or its helpers are missing', async () => {
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

    test('the tarball is kept when the tree cannot be written', async () => {
      web.serve(tarballPath, await tarball())
      await mkdir(join(target, 'default.nix', 'in-the-way'), { recursive: true })
      await expect(channelServer().download(A, target)).rejects.toMatchObject(
        unavailable('default.nix: Cannot open'),
      )
      expect(await kept()).toEqual([A])
    })

    test('the tarball is kept when the service shuts down', async () => {
      web.serve(tarballPath, await tarball())
      const groups = new ProcessGroups()
      await groups.killAll()
      await expect(channelServer({ groups }).download(A, target)).rejects.toMatchObject(
        unavailable('shutting down'),
      )
      expect(await kept()).toEqual([A])
    })
  })

  test('download accepts only a full commit id', async () => {
    await expect(channelServer().download('../../etc', target)).rejects.toThrow(TypeError)
    expect(web.requests).toEqual([])
  })
})

/** Returns a port without a listener. */
async function unusedPort(): Promise<{ port: number }> {
  const server = await WebServer.start()
  const { port } = server
  await server[Symbol.asyncDispose]()
  return { port }
}
