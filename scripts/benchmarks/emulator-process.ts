/** The tests' emulator of Google Cloud Storage, as a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'

const program = resolve(import.meta.dirname, '../../test/support/gcs/serve.ts')

export interface BucketRequest {
  readonly kind: string
  /** Name of the object. */
  readonly key?: string
  /** Bytes of the request's body. */
  readonly bytesIn: number
  readonly bytesOut: number
}

/** @param keyPath file for the key of its service account */
export async function startEmulator(keyPath: string) {
  const bucket = 'layers'
  const args = [program, '--bucket', bucket, '--key', keyPath]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(createInterface(child.stdout), 'line')
  const { url } = JSON.parse(line) as { url: string }
  return {
    url,
    bucket,
    settings: {
      NIXERY_STORAGE_BACKEND: 'gcs',
      GCS_BUCKET: bucket,
      GOOGLE_APPLICATION_CREDENTIALS: keyPath,
      SLIPWAY_GCS_ENDPOINT: url,
    },
    async control(command: string): Promise<void> {
      const response = await fetch(`${url}/_emulator/${command}`, { method: 'POST', body: '{}' })
      if (!response.ok) throw new Error(`${command}: ${response.status} ${await response.text()}`)
    },
    /** Returns the requests since the last `reset-ledger`. */
    async requests() {
      const ledger = await (await fetch(`${url}/_emulator/ledger`)).json()
      return (ledger as { requests: BucketRequest[] }).requests
    },
    async [Symbol.asyncDispose](): Promise<void> {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}
