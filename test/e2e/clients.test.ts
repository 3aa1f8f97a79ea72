/** Every client that teams use, each also with a connection that is cut in the middle of a layer. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Containerd } from '../support/containerd.ts'
import { type CuttingProxy, cuttingProxy } from '../support/cutting-proxy.ts'
import { Docker } from '../support/docker.ts'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'

const run = promisify(execFile)

/** A package of 20 MB that cannot be compressed: its layer is cut after 10 MB. */
const large = 'twentymegabytes'
const cutAfter = 10_000_000

let packages: PackageSet
let workspace: Workspace
let slipway: Slipway
let docker: Docker
let containerd: Containerd
/** Scratch space of podman, buildah and skopeo. */
let scratch: string

beforeAll(async () => {
  packages = await PackageSet.create()
  await packages.replace(
    'default.nix',
    '  custom-service =',
    '  twentyMegabytes = package { name = "twenty-megabytes"; script = "dd if=/dev/urandom of=$out bs=1M count=20"; };\n' +
      `  slowBuild = package { name = "slow-build-${process.pid}-${Date.now()}"; script = "sleep 4; echo done >$out"; };\n` +
      '  custom-service =',
  )
  workspace = await Workspace.create()
  scratch = await mkdtemp(join(tmpdir(), 'slipway-clients-'))
  ;[docker, containerd, slipway] = await Promise.all([
    Docker.start(),
    Containerd.start(),
    Slipway.start(workspace.settings(packages.folder)),
  ])
})

afterAll(async () => {
  await slipway?.[Symbol.asyncDispose]()
  await docker?.[Symbol.asyncDispose]()
  await containerd?.[Symbol.asyncDispose]()
  if (scratch) await rm(scratch, { recursive: true, force: true })
  await workspace?.[Symbol.asyncDispose]()
  await packages?.[Symbol.asyncDispose]()
})

const skopeo = async (...args: string[]) => (await run('skopeo', args)).stdout
const podmanStorage = () => ['--root', join(scratch, 'podman'), '--runroot', join(scratch, 'run')]
const buildahStorage = () => [
  '--root',
  join(scratch, 'buildah'),
  '--runroot',
  join(scratch, 'brun'),
]
const vfs = ['--storage-driver', 'vfs']

/** Pulls an image with a client, so that it fails if a byte is wrong. */
const pulls: Record<string, (registry: string, image: string) => Promise<unknown>> = {
  docker: (registry, image) => docker.run('pull', `${registry}/${image}`),
  containerd: (registry, image) =>
    containerd.run('images', 'pull', '--plain-http', `${registry}/${image}`),
  skopeo: (registry, image) =>
    skopeo(
      'copy',
      '--retry-times',
      '2',
      '--src-tls-verify=false',
      `docker://${registry}/${image}`,
      `dir:${scratch}/dir`,
    ),
  podman: (registry, image) =>
    run('podman', [
      ...podmanStorage(),
      ...vfs,
      'pull',
      '--tls-verify=false',
      `${registry}/${image}`,
    ]),
  buildah: (registry, image) =>
    run('buildah', [
      ...buildahStorage(),
      ...vfs,
      'pull',
      '--tls-verify=false',
      `${registry}/${image}`,
    ]),
}

/** Those that go on where they were cut. Debian's skopeo, podman and buildah give up: pull again. */
const resuming = new Set(['docker', 'containerd'])

describe.each(Object.keys(pulls))('%s', (client) => {
  const pull = (registry: string, image: string) => pulls[client]?.(registry, image)

  test('pulls an image by tag', async () => {
    await pull(slipway.registry, 'custom-service:release-v1')
  })

  test('pulls an image by digest', async () => {
    const { headers } = await slipway.fetch('/v2/jq/manifests/release-v1', { method: 'HEAD' })
    await pull(slipway.registry, `jq@${headers.get('Docker-Content-Digest')}`)
  })

  test('gets a layer whose connection is cut', async () => {
    await using proxy: CuttingProxy = await cuttingProxy(
      Number(new URL(slipway.url).port),
      cutAfter,
    )
    const image = `${large}:latest`
    if (resuming.has(client)) {
      await pull(proxy.registry, image)
    } else {
      await expect(pull(proxy.registry, image)).rejects.toThrow(/unexpected EOF/)
      await pull(proxy.registry, image)
    }
    expect(proxy.cuts()).toBe(1)
  })
})

describe('docker', () => {
  test('inspects a manifest', async () => {
    const image = `${slipway.registry}/jq:release-v1`
    const manifest = JSON.parse(await docker.run('manifest', 'inspect', '--insecure', image))
    expect(manifest).toMatchObject({ schemaVersion: 2 })
  })
})

describe('containerd', () => {
  test('runs an image', async () => {
    const image = `${slipway.registry}/custom-service:release-v1`
    await containerd.run('images', 'pull', '--plain-http', image)
    const output = await containerd.run('run', '--rm', image, 'test', 'custom-service', '--version')
    expect(output).toContain('1.0')
  })
})

describe('skopeo', () => {
  test('syncs all tags of a repository', async () => {
    const target = join(scratch, 'synced')
    await skopeo(
      ...['sync', '--src', 'docker', '--dest', 'dir'],
      ...['--src-tls-verify=false', `${slipway.registry}/jq`, target],
    )
    for (const tag of ['latest', 'main', 'release-v1', 'release-v2']) {
      expect((await stat(join(target, `jq:${tag}`, 'manifest.json'))).isFile()).toBe(true)
    }
  })

  test('finds an image by its own retries while it is being built', async () => {
    await using own = await Workspace.create()
    await using impatient = await Slipway.start({
      ...own.settings(packages.folder),
      SLIPWAY_PULL_WAIT: '1',
    })
    const refused = await impatient.fetch('/v2/slowbuild/manifests/latest')
    expect(refused.status).toBe(429)
    expect(refused.headers.get('Retry-After')).toMatch(/^\d+$/)
    expect(await refused.text()).toMatch(/not ready after 1 seconds; the build goes on/)
    await skopeo(
      'copy',
      '--src-tls-verify=false',
      `docker://${impatient.registry}/slowbuild`,
      `dir:${scratch}/slow`,
    )
    expect(impatient.logged('image built')).toHaveLength(1)
  })
})

describe('umoci', () => {
  test('unpacks an image', async () => {
    const layout = join(scratch, 'umoci')
    await skopeo(
      'copy',
      '--src-tls-verify=false',
      `docker://${slipway.registry}/custom-service`,
      `oci:${layout}:it`,
    )
    const bundle = join(scratch, 'bundle')
    await run('umoci', ['unpack', '--image', `${layout}:it`, bundle])
    const config = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8'))
    expect(config.process.args[0]).toMatch(/\/bin\/custom-service$/)
    await stat(join(bundle, 'rootfs', config.process.args[0]))
  })
})

describe('curl', () => {
  test('goes on with a blob that was cut', async () => {
    await using proxy = await cuttingProxy(Number(new URL(slipway.url).port), cutAfter)
    const response = await slipway.fetch(`/v2/${large}/manifests/latest`)
    const { layers } = (await response.json()) as { layers: { digest: string; size: number }[] }
    const { digest } = layers.find(({ size }) => size > cutAfter) ?? { digest: '' }
    const file = join(scratch, 'blob')
    const download = ['-sSf', '-C', '-', '-o', file, `${proxy.url}/v2/${large}/blobs/${digest}`]
    await expect(run('curl', download)).rejects.toThrow()
    const part = (await stat(file)).size
    expect(part).toBeGreaterThan(0)
    await run('curl', download)
    expect((await stat(file)).size).toBeGreaterThan(part)
    const hash = createHash('sha256')
      .update(await readFile(file))
      .digest('hex')
    expect(`sha256:${hash}`).toBe(digest)
  })
})
