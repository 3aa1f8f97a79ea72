/**
 * Webhooks of Gitea and Forgejo. Forgejo sends its own headers beside those of Gitea.
 * @see https://docs.gitea.com/usage/repository/webhooks
 * @see https://forgejo.org/docs/latest/user/webhooks/
 */
import { z } from 'zod'
import { fullRef, headerOf, type Provider } from './provider.ts'
import { isHmac } from './shared-secret.ts'

const repository = z.looseObject({ clone_url: z.string(), ssh_url: z.string() })

const push = z.looseObject({ ref: z.string(), repository })
/** Payload of `create` and `delete`. `ref` is a short name. */
const change = z.looseObject({ ref: z.string(), ref_type: z.string(), repository })

const signature = ['x-forgejo-signature', 'x-gitea-signature']

export function gitea(secret: string): Provider {
  return {
    name: 'gitea',
    headers: {
      proof: signature,
      event: ['x-forgejo-event', 'x-gitea-event'],
      delivery: ['x-forgejo-delivery', 'x-gitea-delivery'],
    },
    events: 'push, create, delete',
    jsonAdvice: 'set "POST content type" of the webhook to application/json',
    authenticate: (body, headers) => isHmac(headerOf(headers, signature), body, secret),
    read(event, payload) {
      if (event === 'push') {
        const { ref, repository } = push.parse(payload)
        return { event, repositoryUrls: [repository.clone_url, repository.ssh_url], refs: [ref] }
      }
      if (event !== 'create' && event !== 'delete') return undefined
      const { ref, ref_type, repository } = change.parse(payload)
      const refs = [fullRef(ref_type, ref)]
      return { event, repositoryUrls: [repository.clone_url, repository.ssh_url], refs }
    },
  }
}
