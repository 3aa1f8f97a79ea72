/**
 * Webhooks of senders that can compute an HMAC, such as `scripts/post-receive`. The signature covers the
 * body as it is sent. The body may be empty, or name the refs that changed:
 *
 *     POST /webhooks/generic
 *     Content-Type: application/json
 *     X-Signature-256: sha256=<HMAC-SHA-256 of the body, in hex>
 *
 *     {"ref": "refs/tags/v1"}   or   {"refs": ["refs/tags/v1", "refs/heads/main"]}
 *
 * The body names no repository: a sender that knows the secret means the tracked repository.
 * @see https://www.rfc-editor.org/rfc/rfc2104
 */
import { z } from 'zod'
import { headerOf, type Provider } from './provider.ts'
import { isHmac } from './shared-secret.ts'

const change = z.looseObject({
  ref: z.string().optional(),
  refs: z.array(z.string()).optional(),
})

const signature = ['x-signature-256']
const scheme = 'sha256='

export function generic(secret: string): Provider {
  return {
    name: 'generic',
    headers: { proof: signature, event: [], delivery: [] },
    events: 'any',
    jsonAdvice: 'send the header "Content-Type: application/json"',
    authenticate(body, headers) {
      const given = headerOf(headers, signature)
      return given.startsWith(scheme) && isHmac(given.slice(scheme.length), body, secret)
    },
    read(_, payload) {
      const { ref, refs = [] } = change.parse(payload ?? {})
      const all = ref === undefined ? refs : [ref, ...refs]
      return { event: 'push', repositoryUrls: [], refs: all }
    },
  }
}
