/** Pulling an image as a client does that has nothing of it: manifest, config, layers; each verified. */
import { createHash } from 'node:crypto'
import type { Slipway } from './slipway.ts'

interface Part {
  readonly digest: string
  /** Bytes. */
  readonly size: number
}

export interface Manifest {
  readonly config: Part
  readonly layers: readonly Part[]
}

export interface Pulled {
  readonly digest: string
  readonly manifest: Manifest
}

/** @throws Error with what was answered, unless that is the manifest */
export async function pullManifest(
  slipway: Slipway,
  image: string,
  reference = 'latest',
): Promise<Pulled> {
  const response = await slipway.fetch(`/v2/${image}/manifests/${reference}`)
  const body = await response.text()
  if (response.status !== 200) throw new Error(`${image}: ${response.status} ${body}`)
  return { digest: digestOf(body), manifest: JSON.parse(body) }
}

/** @throws Error when a part of it does not arrive as the manifest says */
export async function pull(slipway: Slipway, image: string, reference?: string): Promise<Pulled> {
  const pulled = await pullManifest(slipway, image, reference)
  const { config, layers } = pulled.manifest
  for (const { digest, size } of [config, ...layers]) {
    const response = await slipway.fetch(`/v2/${image}/blobs/${digest}`)
    const bytes = new Uint8Array(await response.arrayBuffer())
    if (response.status !== 200 || bytes.length !== size || digestOf(bytes) !== digest) {
      throw new Error(`${image}: ${digest}: ${response.status}, ${bytes.length} of ${size} bytes`)
    }
  }
  return pulled
}

export interface Refusal {
  readonly status: number
  /** The header, in seconds. */
  readonly retryAfter: string | null
  readonly code: string
  readonly message: string
}

/** How the service refuses a request. @throws Error when it does not */
export async function refusal(slipway: Slipway, path: string): Promise<Refusal> {
  const response = await slipway.fetch(path)
  if (response.ok) throw new Error(`${path}: ${response.status}`)
  const { errors } = (await response.json()) as { errors: [{ code: string; message: string }] }
  const { code, message } = errors[0]
  const retryAfter = response.headers.get('Retry-After')
  return { status: response.status, retryAfter, code, message }
}

/** Where a client is sent for a blob. */
export async function redirectOf(slipway: Slipway, { digest }: Part): Promise<string> {
  const response = await slipway.fetch(`/v2/any/blobs/${digest}`, { redirect: 'manual' })
  if (response.status !== 307) throw new Error(`${digest}: ${response.status}, no redirect`)
  return response.headers.get('Location') ?? ''
}

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
