/** All usual clients, each also with a connection that is cut within a layer. */
import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BuilderGate } from '../support/builder-gate.ts'
import { Containerd } from '../support/containerd.ts'
import { type CuttingProxy, cuttingProxy } from '../support/cutting-proxy.ts'
import { Docker } from '../support/docker.ts'
import { PackageSet } from '../support/package-set.ts'
import { digestOf, failedRequest, pullManifest } from '../support/pull.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const run = promisify(execFile)

/** Image with 20 MB that do not compress. Its layer is cut after 10 MB. */
const large = 'twentymegabytes'
const cutAfter = 10_000_000

let packages: PackageSet
let workspace: Workspace
let slipway: Slipway
let docker: Docker
let containerd: Containerd
/** Folder for podman, buildah and skopeo. */
let scratch: string
let gate: BuilderGate
const resources = new AsyncDisposableStack()

beforeAll(async () => {
  gate = resources.use(await BuilderGate.create())
  packages = resources.use(await PackageSet.create())
  await packages.addAttributes({
    twentyMegabytes:
      'package { name = "twenty-megabytes"; script = "dd if=/dev/urandom of=$out bs=1M count=20"; }',
  })
  await packages.add({ slowBuild: `${gate.wait}; echo done >$out` })
  workspace = resources.use(await Workspace.create())
  scratch = resources.use(await TemporaryFolder.create()).path
  docker = resources.use(await Docker.start())
  containerd = resources.use(await Containerd.start())
  slipway = resources.use(await Slipway.start(workspace.settings(packages.folder)))
})
afterAll(() => resources.disposeAsync())

const skopeo = async (...args: string[]) => (await run('skopeo', args)).stdout
const podmanStorage = () => ['--root', join(scratch, 'podman'), '--runroot', join(scratch, 'run')]
const buildahStorage = () => [
  '--root',
  join(scratch, 'buildah'),
  '--runroot',
  join(scratch, 'brun'),
]
const vfs = ['--storage-driver', 'vfs']

/** Pull commands of the clients. All clients verify digests. */
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

/** Clients that resume a download that was cut. Debian's skopeo, podman and buildah fail; the next pull works. */
const resuming = new Set(['docker', 'containerd'])

describe.each(Object.keys(pulls))('%s', (client) => {
  const pull = (registry: string, image: string) => pulls[client]?.(registry, image)

  test(`${client} pulls an image by tag`, async () => {
    await pull(slipway.registry, 'custom-service:release-v1')
  })

  test(`${client} pulls an image by digest`, async () => {
    const { headers } = await slipway.fetch('/v2/jq/manifests/release-v1', { method: 'HEAD' })
    await pull(slipway.registry, `jq@${headers.get('Docker-Content-Digest')}`)
  })

  test(`${client} gets a layer whose connection is cut`, async () => {
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
  test('docker inspects a manifest', async () => {
    const image = `${slipway.registry}/jq:release-v1`
    const manifest = JSON.parse(await docker.run('manifest', 'inspect', '--insecure', image))
    expect(manifest).toMatchObject({ schemaVersion: 2 })
  })
})

describe('containerd', () => {
  test('containerd runs an image', async () => {
    const image = `${slipway.registry}/custom-service:release-v1`
    await containerd.run('images', 'pull', '--plain-http', image)
    const output = await containerd.run('run', '--rm', image, 'test', 'custom-service', '--version')
    expect(output).toContain('1.0')
  })
})

describe('skopeo', () => {
  test('skopeo syncs all tags of a repository', async () => {
    const target = join(scratch, 'synced')
    await skopeo(
      ...['sync', '--src', 'docker', '--dest', 'dir'],
      ...['--src-tls-verify=false', `${slipway.registry}/jq`, target],
    )
    for (const tag of ['latest', 'main', 'release-v1', 'release-v2']) {
      expect((await stat(join(target, `jq:${tag}`, 'manifest.json'))).isFile()).toBe(true)
    }
  })

  test('skopeo retries a 429 until the image is built', async () => {
    await using own = await Workspace.create()
    await using impatient = await Slipway.start({
      ...own.settings(packages.folder),
      SLIPWAY_PULL_WAIT: '1',
    })
    expect(await failedRequest(impatient, '/v2/slowbuild/manifests/latest')).toMatchObject({
      status: 429,
      retryAfter: expect.stringMatching(/^\d+$/),
      message: expect.stringMatching(/not ready after 1 seconds; the build goes on/),
    })
    const refusals = impatient.logged('request failed').length
    const copied = skopeo(
      'copy',
      '--src-tls-verify=false',
      `docker://${impatient.registry}/slowbuild`,
      `dir:${scratch}/slow`,
    )
    await expect
      .poll(() => impatient.logged('request failed').length, { timeout: 60_000 })
      .toBeGreaterThan(refusals)
    await gate.open()
    await copied
    expect(impatient.logged('image built')).toHaveLength(1)
  })
})

describe('umoci', () => {
  test('umoci unpacks an image', async () => {
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
  test('curl resumes the download of a blob that was cut', async () => {
    await using proxy = await cuttingProxy(Number(new URL(slipway.url).port), cutAfter)
    const { manifest } = await pullManifest(slipway, large)
    const { digest } = manifest.layers.find(({ size }) => size > cutAfter) ?? { digest: '' }
    const file = join(scratch, 'blob')
    const download = ['-sSf', '-C', '-', '-o', file, `${proxy.url}/v2/${large}/blobs/${digest}`]
    await expect(run('curl', download)).rejects.toThrow()
    const part = (await stat(file)).size
    expect(part).toBeGreaterThan(0)
    await run('curl', download)
    expect((await stat(file)).size).toBeGreaterThan(part)
    expect(digestOf(await readFile(file))).toBe(digest)
  })
})
