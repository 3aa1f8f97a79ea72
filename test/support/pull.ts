/** Pulls images as a client without any cached blob does: manifest, config and layers, each one verified. */
import { createHash } from 'node:crypto'
import type { Slipway } from './slipway.ts'

export interface Descriptor {
  readonly digest: string
  /** Bytes. */
  readonly size: number
}

export interface Manifest {
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
}

export interface PulledImage {
  readonly digest: string
  readonly manifest: Manifest
}

/** @throws Error with the response, if it is not a manifest with the right digest */
export async function pullManifest(
  slipway: Slipway,
  image: string,
  reference = 'latest',
): Promise<PulledImage> {
  const response = await slipway.fetch(`/v2/${image}/manifests/${reference}`)
  const body = await response.text()
  const digest = digestOf(body)
  if (response.status !== 200) throw new Error(`${image}: ${response.status} ${body}`)
  if (response.headers.get('Docker-Content-Digest') !== digest) {
    throw new Error(`${image}: the manifest has another digest than the response says`)
  }
  return { digest, manifest: JSON.parse(body) }
}

/** Returns the digest of an image's manifest. @throws as `pullManifest` does */
export async function imageDigest(
  slipway: Slipway,
  image: string,
  reference?: string,
): Promise<string> {
  return (await pullManifest(slipway, image, reference)).digest
}

/** @throws as `pullManifest` does; Error if a blob is not what the manifest says */
export async function pull(
  slipway: Slipway,
  image: string,
  reference?: string,
): Promise<PulledImage> {
  const pulled = await pullManifest(slipway, image, reference)
  const { config, layers } = pulled.manifest
  for (const part of [config, ...layers]) await pullBlob(slipway, image, part)
  return pulled
}

/** @throws Error if the blob does not have the digest and size of the descriptor */
export async function pullBlob(
  slipway: Slipway,
  image: string,
  { digest, size }: Descriptor,
): Promise<Buffer> {
  const response = await slipway.fetch(`/v2/${image}/blobs/${digest}`)
  const bytes = Buffer.from(await response.arrayBuffer())
  if (response.status !== 200 || bytes.length !== size || digestOf(bytes) !== digest) {
    throw new Error(`${image}: ${digest}: ${response.status}, ${bytes.length} of ${size} bytes`)
  }
  return bytes
}

export interface FailedRequest {
  readonly status: number
  /** Retry-After in seconds. */
  readonly retryAfter: string | null
  readonly code: string
  readonly message: string
}

/** Returns the error response to a request. @throws Error if the request succeeds */
export async function failedRequest(slipway: Slipway, path: string): Promise<FailedRequest> {
  const response = await slipway.fetch(path)
  if (response.ok) throw new Error(`${path}: ${response.status}`)
  const { errors } = (await response.json()) as { errors: [{ code: string; message: string }] }
  const { code, message } = errors[0]
  const retryAfter = response.headers.get('Retry-After')
  return { status: response.status, retryAfter, code, message }
}

/** Returns the URL to which the service redirects clients for a blob. */
export async function redirectOf(slipway: Slipway, { digest }: Descriptor): Promise<string> {
  const response = await slipway.fetch(`/v2/any/blobs/${digest}`, { redirect: 'manual' })
  if (response.status !== 307) throw new Error(`${digest}: ${response.status}, no redirect`)
  return response.headers.get('Location') ?? ''
}

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
