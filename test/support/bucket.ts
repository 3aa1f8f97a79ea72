/** A bucket of the test's own, and Slipways that keep their images in it. */
import { join } from 'node:path'
import { GcsEmulator } from './gcs/emulator.ts'
import { Slipway, Workspace } from './slipway.ts'

/** What lets whoever reads it in, for a while at least: signatures, sessions of uploads, tokens. */
const passes = /X-Goog-Signature|X-Goog-Credential|upload_id|ya29\.|Bearer/i

export class Bucket implements AsyncDisposable {
  readonly emulator: GcsEmulator
  readonly #workspace: Workspace
  readonly #settings: Record<string, string>
  readonly #instances: Slipway[] = []

  private constructor(
    emulator: GcsEmulator,
    workspace: Workspace,
    settings: Record<string, string>,
  ) {
    this.emulator = emulator
    this.#workspace = workspace
    this.#settings = settings
  }

  /** @param settings of all its instances, besides those that have them use it */
  static async create(settings: Record<string, string> = {}): Promise<Bucket> {
    const workspace = await Workspace.create()
    const emulator = await GcsEmulator.start({ bucket: 'layers', folder: workspace.folder })
    const bucket = new Bucket(emulator, workspace, settings)
    await emulator.writeKey(bucket.keyFile)
    await emulator.writeKeylessCredentials(join(bucket.folder, 'keyless.json'))
    return bucket
  }

  get folder(): string {
    return this.#workspace.folder
  }

  /** Credentials with a key. */
  get keyFile(): string {
    return join(this.folder, 'key.json')
  }

  /** Credentials that say whom to ask for tokens and signatures. */
  get keylessFile(): string {
    return join(this.folder, 'keyless.json')
  }

  /** Where an instance has its state. */
  stateOf(instance: string): string {
    return join(this.folder, instance)
  }

  /** Where an instance makes its layers. */
  stagingOf(instance: string): string {
    return join(this.stateOf(instance), 'run/tmp/layers')
  }

  /** Settings for credentials without a key: URLs are signed by the service. */
  get keyless(): Record<string, string> {
    return {
      GOOGLE_APPLICATION_CREDENTIALS: join(this.folder, 'keyless.json'),
      SLIPWAY_GCS_SIGN: 'iam',
    }
  }

  /** Settings of an instance: each has a state of its own. */
  settings(repository: string, instance = 'one'): Record<string, string> {
    return {
      ...this.#workspace.settings(repository),
      NIXERY_STORAGE_BACKEND: 'gcs',
      GCS_BUCKET: 'layers',
      GOOGLE_APPLICATION_CREDENTIALS: this.keyFile,
      SLIPWAY_GCS_ENDPOINT: this.emulator.url,
      SLIPWAY_STATE_PATH: this.stateOf(instance),
      // All that is ever logged, for those who look for secrets in it.
      SLIPWAY_LOG_LEVEL: 'debug',
      // What an earlier pull has prebuilt would be among what a test counts.
      SLIPWAY_PREBUILD_POPULAR: '0',
      ...this.#settings,
    }
  }

  /** An instance, which ends with the bucket at the latest. */
  async start(environment: Record<string, string>): Promise<Slipway> {
    const slipway = await Slipway.start(environment)
    this.#instances.push(slipway)
    return slipway
  }

  /** All that its instances have logged so far. */
  get log(): string {
    return this.#instances.flatMap(({ log }) => log.map((line) => JSON.stringify(line))).join('\n')
  }

  /** Names of the objects below a folder. */
  names(folder: string): string[] {
    const names = this.emulator.objects().map(({ name }) => name)
    return names.filter((name) => name.startsWith(`${folder}/`))
  }

  /** Requests since the ledger was emptied, by what they did to which folder: `upload blobs`. */
  requests(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { kind, key } of this.emulator.requests) {
      const request = [kind, key?.split('/')[0]].filter((part) => part !== undefined).join(' ')
      counts[request] = (counts[request] ?? 0) + 1
    }
    return counts
  }

  /** Bytes that arrived for each blob since the ledger was emptied, with what is sent around them. */
  arrived(): Map<string, number> {
    const bytes = new Map<string, number>()
    for (const { kind, key = '', bytesIn } of this.emulator.requests) {
      if (kind !== 'upload' || !key.startsWith('blobs/')) continue
      bytes.set(key, (bytes.get(key) ?? 0) + bytesIn)
    }
    return bytes
  }

  /** Lines of the log that hold a secret. */
  leaks(): string[] {
    const key = this.emulator.credentials.private_key.trim().split('\n')
    const isLeak = (line: string) => passes.test(line) || key.some((part) => line.includes(part))
    return this.log.split('\n').filter(isLeak)
  }

  /** @throws Error when an instance sent what the service would not take, or logged a secret */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#instances.map((slipway) => slipway.stop()))
    await this.emulator[Symbol.asyncDispose]()
    await this.#workspace[Symbol.asyncDispose]()
    const wrong = [...this.emulator.violations, ...this.leaks()]
    if (wrong.length > 0) throw new Error(wrong.join('\n'))
  }
}
