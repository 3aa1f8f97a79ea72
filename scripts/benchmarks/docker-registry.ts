/** Debian's `docker-registry` on the file system, as a process of its own: the peer for what clients fetch. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { awaitAnswer } from '../../test/support/daemon.ts'
import { freePort } from '../../test/support/free-port.ts'
import { Daemon, run } from './processes.ts'

export class DockerRegistry implements AsyncDisposable {
  readonly url: string
  readonly #name: string
  readonly #scratch: string
  readonly #daemon: Daemon
  readonly #signal: AbortSignal

  private constructor(port: number, scratch: string, daemon: Daemon, signal: AbortSignal) {
    this.#name = `localhost:${port}`
    this.url = `http://127.0.0.1:${port}`
    this.#scratch = scratch
    this.#daemon = daemon
    this.#signal = signal
  }

  static async start(scratch: string, signal: AbortSignal): Promise<DockerRegistry> {
    const folder = join(scratch, 'docker-registry')
    await mkdir(folder)
    const port = await freePort()
    const file = join(folder, 'config.yml')
    await writeFile(file, configuration(port, join(folder, 'storage')))
    const { PATH = '' } = process.env
    const daemon = new Daemon('docker-registry', ['serve', file], { PATH, HOME: folder })
    const registry = new DockerRegistry(port, scratch, daemon, signal)
    try {
      await awaitAnswer(daemon.child, () => fetch(`${registry.url}/v2/`))
      return registry
    } catch (error) {
      await registry[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Takes an image from another registry, with skopeo: the same manifest and blobs, the same names. */
  async take(from: string, image: string): Promise<void> {
    const noTls = ['--src-tls-verify=false', '--dest-tls-verify=false', '--preserve-digests']
    const [source, copy] = [from, this.#name].map((registry) => `docker://${registry}/${image}`)
    await run('skopeo', ['copy', '--quiet', ...noTls, source ?? '', copy ?? ''], {
      signal: this.#signal,
      // Else it notes in /var/lib/containers where it has seen which blob.
      env: { _CONTAINERS_ROOTLESS_UID: '1000', XDG_DATA_HOME: join(this.#scratch, 'skopeo') },
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]()
  }
}

/** As Debian ships it, but without a log of every request: Slipway writes none either. */
function configuration(port: number, storage: string): string {
  const settings = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: {
      cache: { blobdescriptor: 'inmemory' },
      filesystem: { rootdirectory: storage },
      delete: { enabled: true },
    },
    http: { addr: `127.0.0.1:${port}`, headers: { 'X-Content-Type-Options': ['nosniff'] } },
  }
  // JSON is YAML.
  return JSON.stringify(settings)
}
