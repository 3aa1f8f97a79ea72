/** Debian's `docker-registry` on the file system, which Slipway is compared with. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Daemon } from '../../test/support/daemon.ts'
import { freePort } from '../../test/support/free-port.ts'
import { run } from './processes.ts'

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
    const daemon = await Daemon.start('docker-registry', ['serve', file], {
      env: { PATH, HOME: folder },
      ask: () => fetch(`http://127.0.0.1:${port}/v2/`),
    })
    return new DockerRegistry(port, scratch, daemon, signal)
  }

  /** Copies an image from another registry with skopeo, with the same name, manifest and blobs. */
  async copyFrom(registry: string, image: string): Promise<void> {
    const noTls = ['--src-tls-verify=false', '--dest-tls-verify=false', '--preserve-digests']
    const [source, target] = [registry, this.#name].map((host) => `docker://${host}/${image}`)
    await run('skopeo', ['copy', '--quiet', ...noTls, source ?? '', target ?? ''], {
      signal: this.#signal,
      // Keeps skopeo from writing its cache of blob locations to /var/lib/containers.
      env: { _CONTAINERS_ROOTLESS_UID: '1000', XDG_DATA_HOME: join(this.#scratch, 'skopeo') },
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]()
  }
}

/** Returns Debian's configuration, but without the access log, which Slipway does not write either. */
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
  // The file is YAML, of which JSON is a subset.
  return JSON.stringify(settings)
}
