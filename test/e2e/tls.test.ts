/** HTTPS with a certificate of a test authority: by the service itself, and behind nginx. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../service/config/read-config.ts'
import { Docker } from '../support/docker.ts'
import { freePort } from '../support/free-port.ts'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const run = promisify(execFile)

/** Docker trusts any registry on 127.0.0.0/8: only under a name on ::1 does it look at certificates. */
const host = 'registry.test'

let packages: PackageSet
let workspace: Workspace
let slipway: Slipway
let authority: string
let certificate: string
let key: string

beforeAll(async () => {
  packages = await PackageSet.create()
  workspace = await Workspace.create()
  authority = join(workspace.folder, 'ca.crt')
  certificate = join(workspace.folder, 'registry.crt')
  key = join(workspace.folder, 'registry.key')
  await makeCertificates()
  slipway = await Slipway.start({
    ...workspace.settings(packages.folder),
    SLIPWAY_HOST: '::',
    SLIPWAY_TLS_CERT: certificate,
    SLIPWAY_TLS_KEY: key,
  })
})

afterAll(async () => {
  await slipway?.[Symbol.asyncDispose]()
  await workspace?.[Symbol.asyncDispose]()
  await packages?.[Symbol.asyncDispose]()
})

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
  test('curl pulls a manifest with the authority, and not without', async () => {
    const url = `https://localhost:${port()}/v2/jq/manifests/release-v1`
    const { stdout } = await run('curl', ['-sSf', '--cacert', authority, url])
    expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 2 })
    await expect(run('curl', ['-sSf', url])).rejects.toThrow(/certificate/)
  })

  test('skopeo copies with --cert-dir, and not without', async () => {
    const folder = join(workspace.folder, 'certs')
    await mkdir(folder)
    await writeFile(join(folder, 'ca.crt'), await readFile(authority))
    const copy = ['copy', `docker://localhost:${port()}/jq`, `dir:${workspace.folder}/copied`]
    await run('skopeo', [...copy, '--src-cert-dir', folder])
    await expect(run('skopeo', copy)).rejects.toThrow(/x509/)
  })

  test('docker pulls with the authority in certs.d, and not without', async () => {
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
    await expect
      .poll(
        () =>
          run('curl', ['-sSf', '--cacert', authority, url]).then(
            () => 'trusted',
            () => 'refused',
          ),
        {
          timeout: 90_000,
          interval: 2000,
        },
      )
      .toBe('trusted')
    expect(slipway.logged('certificate renewed').length).toBeGreaterThan(0)
  })

  test.each([
    ['SLIPWAY_TLS_KEY', /SLIPWAY_TLS_KEY: is not set, but the other one is/],
    ['SLIPWAY_TLS_CERT', /SLIPWAY_TLS_CERT: is not set, but the other one is/],
  ])('without %s ends the service with the reason', async (missing, reason) => {
    const settings: Record<string, string> = {
      ...workspace.settings(packages.folder),
      SLIPWAY_TLS_CERT: certificate,
      SLIPWAY_TLS_KEY: key,
    }
    delete settings[missing]
    expect(await Slipway.fail(settings)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(reason),
    })
  })

  test('with a key that does not fit ends the service with the reason', async () => {
    const other = join(workspace.folder, 'ca.key')
    const failed = await Slipway.fail({
      ...workspace.settings(packages.folder),
      SLIPWAY_TLS_CERT: certificate,
      SLIPWAY_TLS_KEY: other,
    })
    expect(failed).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/registry.crt and the key .*ca.key cannot be used together/),
    })
  })
})

describe('behind nginx, as the README has it', () => {
  test('skopeo pulls over https', async () => {
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

  test('a pull may wait as long as the service lets it, because of proxy_read_timeout', async () => {
    const [, seconds] = /^ *proxy_read_timeout (\d+)s;$/m.exec(await recipe()) ?? []
    const { pullWait } = readConfig({ NIXERY_PKGS_PATH: packages.folder })
    expect(Number(seconds)).toBeGreaterThan(pullWait)
    await using slow = await PackageSet.create()
    await slow.add('slow', 'sleep 8; echo done >$out')
    await using own = await Workspace.create()
    await using plain = await Slipway.start(own.settings(slow.folder))
    await using patient = await Nginx.start(plain.url)
    await using hasty = await Nginx.start(plain.url, (text) =>
      text.replace(/(?<=proxy_read_timeout) \d+s/, ' 3s'),
    )
    const pull = async ({ url }: Nginx) => {
      const flags = ['--silent', '--cacert', authority, '--output', '/dev/null']
      const code = ['--write-out', '%{http_code} %{time_total}']
      const path = `${url}/v2/slow/manifests/latest`
      const { stdout } = await run('curl', [...flags, ...code, path])
      const [status, time] = stdout.split(' ').map(Number)
      return { status, time }
    }
    const [waited, cut] = await Promise.all([pull(patient), pull(hasty)])
    expect(cut.status).toBe(504)
    expect(cut.time).toBeLessThan(8)
    expect(waited.status).toBe(200)
    expect(waited.time).toBeGreaterThan(8)
  })

  async function recipe(): Promise<string> {
    const readme = await readFile(join(import.meta.dirname, '../../README.md'), 'utf8')
    return /```nginx\n(.*?)```/s.exec(readme)?.[1] ?? ''
  }

  /** An nginx of the test's own, on a free port, with the recipe for all but where things are. */
  class Nginx implements AsyncDisposable {
    readonly url: string
    readonly #folder: TemporaryFolder
    readonly #process: ChildProcess

    private constructor(url: string, folder: TemporaryFolder, child: ChildProcess) {
      this.url = url
      this.#folder = folder
      this.#process = child
    }

    /** @param change of the recipe, for this one */
    static async start(target: string, change = (text: string) => text): Promise<Nginx> {
      const folder = await TemporaryFolder.create()
      const { path } = folder
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
      await writeFile(
        config,
        `daemon off; pid ${path}/pid; error_log ${path}/log; events {}
         http { access_log off; ${temporary} ${server} }`,
      )
      const child = spawn('nginx', ['-c', config, '-e', join(path, 'log')], { stdio: 'ignore' })
      const nginx = new Nginx(`https://localhost:${port}`, folder, child)
      for (const deadline = Date.now() + 10_000; !(await answers(port)); await sleep(50)) {
        if (Date.now() < deadline && child.exitCode === null) continue
        const log = await readFile(join(path, 'log'), 'utf8')
        await nginx[Symbol.asyncDispose]()
        throw new Error(`nginx does not answer: ${log}`)
      }
      return nginx
    }

    async [Symbol.asyncDispose](): Promise<void> {
      if (this.#process.exitCode === null) {
        const ended = once(this.#process, 'exit')
        this.#process.kill('SIGTERM')
        await ended
      }
      await this.#folder[Symbol.asyncDispose]()
    }
  }

  async function answers(port: number): Promise<boolean> {
    const socket = connect(port, '127.0.0.1')
    return once(socket, 'connect')
      .then(
        () => true,
        () => false,
      )
      .finally(() => socket.destroy())
  }
})
