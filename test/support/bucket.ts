/** A bucket in an emulator, and Slipway instances that store their images in it. */
import { join } from 'node:path'
import { GcsEmulator } from './gcs/emulator.ts'
import { Slipway, Workspace } from './slipway.ts'

/** Secrets that give access for a while: signatures, upload sessions, tokens. */
const temporarySecrets = /X-Goog-Signature|X-Goog-Credential|upload_id|ya29\.|Bearer/i

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

  /** @param settings further settings of all instances */
  static async create(settings: Record<string, string> = {}): Promise<Bucket> {
    const workspace = await Workspace.create()
    const emulator = await GcsEmulator.start({ bucket: 'layers', folder: workspace.folder })
    const bucket = new Bucket(emulator, workspace, settings)
    await emulator.writeKey(bucket.keyFile)
    await emulator.writeKeylessCredentials(bucket.keylessFile)
    return bucket
  }

  get folder(): string {
    return this.#workspace.folder
  }

  /** Path of credentials with a private key. */
  get keyFile(): string {
    return join(this.folder, 'key.json')
  }

  /** Path of credentials without a key, which name the services for tokens and signatures. */
  get keylessFile(): string {
    return join(this.folder, 'keyless.json')
  }

  /** State folder of an instance. */
  stateOf(instance: string): string {
    return join(this.folder, instance)
  }

  /** Staging folder of an instance. */
  stagingOf(instance: string): string {
    return join(this.stateOf(instance), 'run/tmp/layers')
  }

  /** Settings for credentials without a key: the emulator signs the URLs. */
  get keyless(): Record<string, string> {
    return {
      GOOGLE_APPLICATION_CREDENTIALS: this.keylessFile,
      SLIPWAY_GCS_SIGN: 'iam',
    }
  }

  /** Settings of an instance. Each instance has its own state folder. */
  settings(repository: string, instance = 'one'): Record<string, string> {
    return {
      ...this.#workspace.settings(repository),
      NIXERY_STORAGE_BACKEND: 'gcs',
      GCS_BUCKET: 'layers',
      GOOGLE_APPLICATION_CREDENTIALS: this.keyFile,
      SLIPWAY_GCS_ENDPOINT: this.emulator.url,
      SLIPWAY_STATE_PATH: this.stateOf(instance),
      // Logs everything, because `leaks` looks for secrets in the log.
      SLIPWAY_LOG_LEVEL: 'debug',
      // Prebuilds of earlier pulls would send requests that the tests count.
      SLIPWAY_PREBUILD_POPULAR: '0',
      ...this.#settings,
    }
  }

  /** Starts an instance, which is stopped with the bucket at the latest. */
  async start(environment: Record<string, string>): Promise<Slipway> {
    const slipway = await Slipway.start(environment)
    this.#instances.push(slipway)
    return slipway
  }

  /** All log lines of all instances. */
  get log(): string {
    return this.#instances.flatMap(({ log }) => log.map((line) => JSON.stringify(line))).join('\n')
  }

  /** Returns the names of the objects in a folder. */
  names(folder: string): string[] {
    const names = this.emulator.objects().map(({ name }) => name)
    return names.filter((name) => name.startsWith(`${folder}/`))
  }

  /** Counts the requests since the last reset of the ledger, by kind and folder: `upload blobs`. */
  requests(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { kind, key } of this.emulator.requests) {
      const request = [kind, key?.split('/')[0]].filter((part) => part !== undefined).join(' ')
      counts[request] = (counts[request] ?? 0) + 1
    }
    return counts
  }

  /**
   * Returns the bytes that arrived for each blob since the last reset of the ledger, with the multipart
   * headers.
   */
  arrived(): Map<string, number> {
    const bytes = new Map<string, number>()
    for (const { kind, key = '', bytesIn } of this.emulator.requests) {
      if (kind !== 'upload' || !key.startsWith('blobs/')) continue
      bytes.set(key, (bytes.get(key) ?? 0) + bytesIn)
    }
    return bytes
  }

  /** Returns the log lines that contain a secret. */
  leaks(): string[] {
    const key = this.emulator.credentials.private_key.trim().split('\n')
    const isLeak = (line: string) =>
      temporarySecrets.test(line) || key.some((part) => line.includes(part))
    return this.log.split('\n').filter(isLeak)
  }

  /** @throws Error when an instance sent an invalid request or logged a secret */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#instances.map((slipway) => slipway.stop()))
    await this.emulator[Symbol.asyncDispose]()
    await this.#workspace[Symbol.asyncDispose]()
    const failures = [...this.emulator.violations, ...this.leaks()]
    if (failures.length > 0) throw new Error(failures.join('\n'))
  }
}
