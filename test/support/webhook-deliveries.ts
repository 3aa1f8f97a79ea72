/** Deliveries of webhooks, as the hosting services send them. */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import examples from '@octokit/webhooks-examples'
import { expect } from 'vitest'
import type { RequestHeaders } from './app-server.ts'
import type { AcceptedDelivery, WebhookServer } from './webhook-server.ts'

/** The secret that these deliveries are signed with. */
export const secret = 's3cret of the hook'

export const json = { 'Content-Type': 'application/json' }

export function hmac(body: string | Uint8Array, key = secret): string {
  return createHmac('sha256', key).update(body).digest('hex')
}

/** Returns a payload of GitHub. */
export function githubExample(event: string, index = 0): object {
  const all = (examples as unknown as { name: string; examples: object[] }[]).find(
    ({ name }) => name === event,
  )
  const payload = all?.examples[index]
  if (payload === undefined) throw new Error(`no example ${index} of ${event}`)
  return payload
}

/** Returns a payload of another service: `gitlab-push`. */
export function payloadOf(name: string): string {
  return readFileSync(join(import.meta.dirname, '../fixtures/webhooks', `${name}.json`), 'utf8')
}

export function githubHeaders(event: string, body: string | Uint8Array): Record<string, string> {
  return {
    ...json,
    'User-Agent': 'GitHub-Hookshot/044aadd',
    'X-GitHub-Event': event,
    'X-GitHub-Delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    'X-Hub-Signature-256': `sha256=${hmac(body)}`,
  }
}

export function gitlabHeaders(event: string, token = secret): Record<string, string> {
  return {
    ...json,
    'User-Agent': 'GitLab/17.0.0',
    'X-Gitlab-Event': event,
    'X-Gitlab-Event-UUID': '13792a34-cac6-4fda-95a8-c58e00a3954e',
    'X-Gitlab-Instance': 'https://git.example.com',
    'X-Gitlab-Token': token,
  }
}

export function giteaHeaders(event: string, body: string): Record<string, string> {
  return {
    ...json,
    'X-Gitea-Delivery': 'f6266f16-1bf3-46a5-9ea4-602e06ead473',
    'X-Gitea-Event': event,
    'X-Gitea-Signature': hmac(body),
    'X-GitHub-Event': event,
    'X-Hub-Signature-256': `sha256=${hmac(body)}`,
  }
}

export function genericHeaders(body: string | Uint8Array) {
  return { ...json, 'X-Signature-256': `sha256=${hmac(body)}` }
}

/** Sends a delivery, and expects that it requests no reconcile. @returns the answer's reason */
export async function expectFailure(
  server: WebhookServer,
  status: number,
  path: string,
  body: string | Uint8Array,
  headers: RequestHeaders,
): Promise<string> {
  const answer = await server.post(path, body, headers)
  expect(answer.status, answer.body.toString()).toBe(status)
  expect(answer.headers['content-type']).toMatch(/^application\/json/)
  const { accepted, reason } = answer.json() as { accepted: boolean; reason: string }
  expect(accepted).toBe(false)
  expect(reason).not.toContain(secret)
  expect(server.reconciles).toEqual([])
  return reason
}

/** Sends a delivery, and expects that it requests a reconcile. @returns its log fields */
export async function expectAccepted(
  server: WebhookServer,
  path: string,
  body: string | Uint8Array,
  headers: RequestHeaders,
): Promise<AcceptedDelivery | undefined> {
  const answer = await server.post(path, body, headers)
  expect(answer.status, answer.body.toString()).toBe(202)
  expect(answer.json()).toEqual({ accepted: true })
  return server.reconciles.at(-1)
}
