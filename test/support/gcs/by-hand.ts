/** Requests as the API's documentation has them, so that the emulator is not tested with its own ideas. */
import type { GcsEmulator } from './emulator.ts'

export interface Extra {
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

/** @param key put into the path as it is: names in this API are encoded whole */
export function objectUrl(
  { url }: GcsEmulator,
  key: string,
  query: Readonly<Record<string, string>> = {},
): string {
  return `${url}/storage/v1/b/layers/o/${key}?${new URLSearchParams(query)}`
}

export function uploadUrl({ url }: GcsEmulator, query: Readonly<Record<string, string>>): string {
  return `${url}/upload/storage/v1/b/layers/o?${new URLSearchParams(query)}`
}

export function uploadMedia(
  emulator: GcsEmulator,
  name: string,
  content: string | Uint8Array<ArrayBuffer>,
  { query, headers = {} }: Extra = {},
): Promise<Response> {
  const url = uploadUrl(emulator, { uploadType: 'media', name, ...query })
  return fetch(url, { method: 'POST', body: content, headers })
}

export function uploadMultipart(
  emulator: GcsEmulator,
  metadata: object,
  content: string,
  { query, headers = {} }: Extra = {},
): Promise<Response> {
  const body = [
    '--frontier',
    'Content-Type: application/json; charset=UTF-8',
    '',
    JSON.stringify(metadata),
    '--frontier',
    'Content-Type: text/plain',
    '',
    content,
    '--frontier--',
  ].join('\r\n')
  return fetch(uploadUrl(emulator, { uploadType: 'multipart', ...query }), {
    method: 'POST',
    headers: { 'Content-Type': 'multipart/related; boundary=frontier', ...headers },
    body,
  })
}

/** @returns the URL of the session */
export async function startUpload(
  emulator: GcsEmulator,
  name: string,
  { query, headers = {} }: Extra = {},
  metadata: object = {},
): Promise<string> {
  const response = await fetch(uploadUrl(emulator, { uploadType: 'resumable', name, ...query }), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json; charset=UTF-8', ...headers },
    body: JSON.stringify(metadata),
  })
  if (response.status !== 200) throw new Error(await response.text())
  return response.headers.get('location') ?? ''
}

/** A piece, or with an empty content a question. */
export function put(
  session: string,
  range: string,
  content: Uint8Array<ArrayBuffer> | string = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(session, {
    method: 'PUT',
    headers: { 'Content-Range': range, ...headers },
    body: content,
  })
}

/** What the JSON API says of an error. */
export async function errorOf(response: Response): Promise<{ status: number; reason: string }> {
  const { error } = (await response.json()) as {
    error: { code: number; errors: { reason: string }[] }
  }
  return { status: error.code, reason: error.errors[0]?.reason ?? '' }
}
