/** HTTPS with a certificate of a test authority, by the service itself and by nginx. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../service/config/read-config.ts'
import { BuilderGate } from '../support/builder-gate.ts'
import { Daemon } from '../support/daemon.ts'
import { Docker } from '../support/docker.ts'
import { freePort } from '../support/free-port.ts'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const run = promisify(execFile)

/** Name of the registry on ::1. Docker does not check certificates of registries on 127.0.0.0/8. */
const host = 'registry.test'

let packages: PackageSet
let workspace: Workspace
let slipway: Slipway
let authority: string
let certificate: string
let key: string

const resources = new AsyncDisposableStack()

beforeAll(async () => {
  packages = resources.use(await PackageSet.create())
  workspace = resources.use(await Workspace.create())
  authority = join(workspace.folder, 'ca.crt')
  certificate = join(workspace.folder, 'registry.crt')
  key = join(workspace.folder, 'registry.key')
  await makeCertificates()
  const settings = {
    ...workspace.settings(packages.folder),
    SLIPWAY_HOST: '::',
    SLIPWAY_TLS_CERT: certificate,
    SLIPWAY_TLS_KEY: key,
  }
  slipway = resources.use(await Slipway.start(settings))
})
afterAll(() => resources.disposeAsync())

const openssl = (...args: string[]) => run('openssl', args, { cwd: workspace.folder })

async function makeCertificates(): Promise<void> {
  const days = ['-days', '2']
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl(
    'req',
    '-x509',
    ...ec,
    '-keyout',
    'ca.key',
    '-out',
    authority,
    ...days,
    '-subj',
    '/CN=Test authority',
  )
  await openssl('req', ...ec, '-keyout', key, '-out', 'registry.csr', '-subj', `/CN=${host}`)
  await writeFile(
    join(workspace.folder, 'names'),
    `subjectAltName=DNS:${host},DNS:localhost,IP:127.0.0.1,IP:::1`,
  )
  const signing = ['-CA', authority, '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names']
  await openssl('x509', '-req', '-in', 'registry.csr', '-out', certificate, ...signing, ...days)
}

const port = () => new URL(slipway.url).port

describe('https by the service itself', () => {
  test('curl gets a manifest with the authority and refuses without it', async () => {
    const url = `https://localhost:${port()}/v2/jq/manifests/release-v1`
    const { stdout } = await run('curl', ['-sSf', '--cacert', authority, url])
    expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 2 })
    await expect(run('curl', ['-sSf', url])).rejects.toThrow(/certificate/)
  })

  test('skopeo copies with --cert-dir and refuses without it', async () => {
    const folder = join(workspace.folder, 'certs')
    await mkdir(folder)
    await writeFile(join(folder, 'ca.crt'), await readFile(authority))
    const copy = ['copy', `docker://localhost:${port()}/jq`, `dir:${workspace.folder}/copied`]
    await run('skopeo', [...copy, '--src-cert-dir', folder])
    await expect(run('skopeo', copy)).rejects.toThrow(/x509/)
  })

  test('docker pulls with the authority in certs.d and refuses without it', async () => {
    const name = `${host}:${port()}`
    const certs = join(workspace.folder, 'docker')
    await mkdir(join(certs, 'certs.d', name), { recursive: true })
    await mkdir('/etc/docker', { recursive: true })
    const hosts = join(workspace.folder, 'hosts')
    await writeFile(hosts, `127.0.0.1 localhost\n::1 ${host}\n`)
    await using docker = await Docker.start({ '/etc/hosts': hosts, '/etc/docker': certs })
    expect(await docker.failToPull(`${name}/jq:release-v1`)).toMatch(/x509|certificate/)
    await writeFile(join(certs, 'certs.d', name, 'ca.crt'), await readFile(authority))
    await docker.run('pull', `${name}/jq:release-v1`)
  })

  test('a renewed certificate is served without a restart', async () => {
    await makeCertificates()
    const url = `https://localhost:${port()}/v2/`
    await slipway.untilLogged('certificate renewed')
    await run('curl', ['-sSf', '--cacert', authority, url])
  })

  test.each([
    ['SLIPWAY_TLS_KEY', /SLIPWAY_TLS_KEY: is not set, but the other one is/],
    ['SLIPWAY_TLS_CERT', /SLIPWAY_TLS_CERT: is not set, but the other one is/],
  ])('the start fails without %s', async (missing, failure) => {
    const settings: Record<string, string> = {
      ...workspace.settings(packages.folder),
      SLIPWAY_STATE_PATH: join(workspace.folder, 'state-of-failing'),
      SLIPWAY_TLS_CERT: certificate,
      SLIPWAY_TLS_KEY: key,
    }
    delete settings[missing]
    expect(await Slipway.fail(settings)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(failure),
    })
  })

  test('the start fails if the key does not belong to the certificate', async () => {
    const other = join(workspace.folder, 'ca.key')
    const failed = await Slipway.fail({
      ...workspace.settings(packages.folder),
      SLIPWAY_STATE_PATH: join(workspace.folder, 'state-of-failing'),
      SLIPWAY_TLS_CERT: certificate,
      SLIPWAY_TLS_KEY: other,
    })
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/registry.crt and the key .*ca.key cannot be used together/),
    })
  })
})

describe('https by nginx, configured as in the README', () => {
  test('curl and skopeo pull through nginx over https', async () => {
    await using own = await Workspace.create()
    await using plain = await Slipway.start(own.settings(packages.folder))
    await using nginx = await Nginx.start(plain.url)
    const url = `${nginx.url}/v2/custom-service/manifests/release-v1`
    const { stdout } = await run('curl', ['-sSf', '--cacert', authority, url])
    expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 2 })
    const certs = join(own.folder, 'nginx-certs')
    await mkdir(certs)
    await writeFile(join(certs, 'ca.crt'), await readFile(authority))
    const image = `docker://${new URL(nginx.url).host}/shell/custom-service`
    const folder = `dir:${own.folder}/through-nginx`
    await run('skopeo', ['copy', '--src-cert-dir', certs, image, folder])
  })

  test('proxy_read_timeout of the README is longer than SLIPWAY_PULL_WAIT and lets a pull wait', async () => {
    const [, seconds] = /^ *proxy_read_timeout (\d+)s;$/m.exec(await recipe()) ?? []
    const { pullWait } = readConfig({ NIXERY_PKGS_PATH: packages.folder })
    expect(Number(seconds)).toBeGreaterThan(pullWait)
    await using gate = await BuilderGate.create()
    await using slow = await PackageSet.create()
    await slow.add({ slow: `${gate.wait}; echo done >$out` })
    await using own = await Workspace.create()
    await using plain = await Slipway.start(own.settings(slow.folder))
    await using patient = await Nginx.start(plain.url)
    await using impatient = await Nginx.start(plain.url, (text) =>
      text.replace(/(?<=proxy_read_timeout) \d+s/, ' 1s'),
    )
    const pull = async ({ url }: Nginx) => {
      const flags = ['--silent', '--cacert', authority, '--output', '/dev/null']
      const path = `${url}/v2/slow/manifests/latest`
      return (await run('curl', [...flags, '--write-out', '%{http_code}', path])).stdout
    }
    const waiting = pull(patient)
    expect(await pull(impatient)).toBe('504')
    await gate.open()
    expect(await waiting).toBe('200')
  })

  /** Returns the nginx configuration in the README. */
  async function recipe(): Promise<string> {
    const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8')
    return /```nginx\n(.*?)```/s.exec(readme)?.[1] ?? ''
  }

  /** nginx on a free port. Its configuration is the recipe with other addresses and paths. */
  class Nginx implements AsyncDisposable {
    readonly url: string
    readonly #resources: AsyncDisposableStack

    private constructor(url: string, resources: AsyncDisposableStack) {
      this.url = url
      this.#resources = resources
    }

    /** @param change changes the recipe */
    static async start(target: string, change = (text: string) => text): Promise<Nginx> {
      await using resources = new AsyncDisposableStack()
      const { path } = resources.use(await TemporaryFolder.create())
      const port = await freePort()
      const server = change(await recipe())
        .replace('listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`)
        .replace('http://127.0.0.1:8080', target)
        .replace('/etc/ssl/registry.crt', certificate)
        .replace('/etc/ssl/registry.key', key)
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((kind) => `${kind}_temp_path ${path}/${kind};`)
        .join(' ')
      const config = join(path, 'nginx.conf')
      const log = join(path, 'log')
      await writeFile(
        config,
        `daemon off; pid ${path}/pid; error_log ${log}; events {}
         http { access_log off; ${temporary} ${server} }`,
      )
      const ask = () => connection(port)
      try {
        resources.use(await Daemon.start('nginx', ['-c', config, '-e', log], { ask }))
      } catch (error) {
        throw new Error(`nginx: ${await readFile(log, 'utf8')}`, { cause: error })
      }
      return new Nginx(`https://localhost:${port}`, resources.move())
    }

    async [Symbol.asyncDispose](): Promise<void> {
      await this.#resources.disposeAsync()
    }
  }

  async function connection(port: number): Promise<void> {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
    } finally {
      socket.destroy()
    }
  }
})
