/** Compares images that skopeo has copied with the Nix store, entry by entry. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'

const run = promisify(execFile)

let packages: PackageSet
let workspace: Workspace
let slipway: Slipway

const resources = new AsyncDisposableStack()

beforeAll(async () => {
  packages = resources.use(await PackageSet.create())
  workspace = resources.use(await Workspace.create())
  slipway = resources.use(await Slipway.start(workspace.settings(packages.folder)))
})
afterAll(() => resources.disposeAsync())

const source = (image: string) => `docker://${slipway.registry}/${image}`
const skopeo = async (...args: string[]) =>
  (await run('skopeo', args, { maxBuffer: 2 ** 26 })).stdout

/** Copies an image with skopeo and unpacks its layers in order, as a runtime does. */
async function unpack(image: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-unpacked-'))
  const layout = join(folder, 'oci')
  await skopeo('copy', '--src-tls-verify=false', source(image), `oci:${layout}:image`)
  const blob = (digest: string) => join(layout, 'blobs/sha256', digest.slice('sha256:'.length))
  const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'))
  const manifest = JSON.parse(await readFile(blob(index.manifests[0].digest), 'utf8'))
  const root = join(folder, 'root')
  await mkdir(root)
  for (const { digest } of manifest.layers) {
    await run('tar', ['-xpzf', blob(digest), '-C', root, '--numeric-owner'])
  }
  return folder
}

/** Lists the entries of a tree with mode, owner, time and digest. Names are decoded as latin1, which keeps all bytes. */
async function entriesOf(root: string, top: Buffer): Promise<string[]> {
  const entries: string[] = []
  const visit = async (path: Buffer) => {
    const full = Buffer.concat([Buffer.from(root), path])
    const stat = await lstat(full)
    const mode = (stat.mode & 0o7777).toString(8)
    const name = path.toString('latin1')
    if (stat.isSymbolicLink()) {
      entries.push(`${name} -> ${(await readlink(full, 'buffer')).toString('latin1')}`)
    } else if (stat.isDirectory()) {
      entries.push(`${name}/ ${mode} ${stat.uid}:${stat.gid}`)
      for (const child of await readdir(full, { encoding: 'buffer' })) {
        await visit(Buffer.concat([path, Buffer.from('/'), child]))
      }
    } else {
      const digest = createHash('sha256')
        .update(await readFile(full))
        .digest('hex')
      entries.push(`${name} ${mode} ${stat.uid}:${stat.gid} ${stat.mtimeMs} ${digest}`)
    }
  }
  await visit(top)
  return entries.sort()
}

async function closureOf(attribute: string): Promise<string[]> {
  const path = await packages.build(attribute)
  const { stdout } = await run('nix-store', ['--query', '--requisites', path])
  return stdout.trim().split('\n')
}

describe('skopeo', () => {
  test('skopeo lists the tags', async () => {
    const { Tags } = JSON.parse(await skopeo('list-tags', '--tls-verify=false', source('jq')))
    expect(Tags).toEqual(['latest', 'main', 'release-v1', 'release-v2'])
  })

  test('skopeo inspects an image', async () => {
    const image = JSON.parse(await skopeo('inspect', '--tls-verify=false', source('jq:release-v1')))
    expect(image).toMatchObject({ Architecture: 'amd64', Os: 'linux' })
    expect(image.Layers.length).toBeGreaterThan(1)
  })

  test.each(['dir', 'oci', 'docker-archive'])('skopeo copies an image to %s', async (transport) => {
    const target = join(workspace.folder, `copied-${transport}`)
    const tag = transport === 'docker-archive' ? ':jq:copied' : ''
    await skopeo('copy', '--src-tls-verify=false', source('jq'), `${transport}:${target}${tag}`)
    expect((await lstat(target)).size).toBeGreaterThan(0)
    await rm(target, { recursive: true })
  })
})

describe('unpacked images', () => {
  test.each([
    ['oddFiles', 'oddfiles'],
    ['git', 'shell/git/jq'],
    ['notice', 'notice'],
    ['python3Packages.requests', 'python3packages.requests'],
    ['_7zipLike', '7ziplike'],
  ])(
    'the closure of %s in the unpacked image %s equals the Nix store',
    async (attribute, image) => {
      const folder = await unpack(image)
      try {
        const closure = await closureOf(attribute)
        expect(closure.length).toBeGreaterThan(0)
        for (const path of closure) {
          const stored = await entriesOf('', Buffer.from(path))
          expect(await entriesOf(join(folder, 'root'), Buffer.from(path))).toEqual(stored)
        }
      } finally {
        await rm(folder, { recursive: true })
      }
    },
  )

  test('the root of an image has real directories and links into the store', async () => {
    const folder = await unpack('shell/git/jq')
    const root = join(folder, 'root')
    try {
      expect(await readlink(join(root, 'bin/jq'))).toMatch(/^\/nix\/store\/.*-jq-[^/]*\/bin\/jq$/)
      expect(await readlink(join(root, 'usr/bin/env'))).toMatch(/coreutils-[^/]*\/bin\/env$/)
      const modes = async (path: string) =>
        ((await lstat(join(root, path))).mode & 0o7777).toString(8)
      expect(await modes('bin')).toBe('755')
      expect(await modes('tmp')).toBe('1777')
      expect(await modes('nix/store')).toBe('755')
      expect(await readFile(join(root, 'etc/passwd'), 'utf8')).toMatch(
        /^root:x:0:0:.*\nnobody:x:65534:/,
      )
      expect(await readlink(join(root, 'etc/ssl/certs/ca-bundle.crt'))).toContain('/nix/store/')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('a package that is a single file is not in the root of the image', async () => {
    const folder = await unpack('notice')
    try {
      const top = await readdir(join(folder, 'root'))
      expect(top.sort()).toEqual(['etc', 'nix', 'tmp'])
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('a file of two packages comes from the package with the lower priority number', async () => {
    const folder = await unpack('motd/motdmaintenance')
    try {
      const etc = join(folder, 'root/etc')
      expect(await readlink(join(etc, 'motd'))).toContain('motd-maintenance-1')
      expect(await readlink(join(etc, 'motd-version'))).toContain('-motd-1/')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
