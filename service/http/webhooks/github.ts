/**
 * Webhooks of GitHub.
 * @see https://docs.github.com/en/webhooks/webhook-events-and-payloads
 * @see https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 */
import { isUtf8 } from 'node:buffer'
import { Webhooks } from '@octokit/webhooks'
import { z } from 'zod'
import { fullRef, headerOf, type Provider } from './provider.ts'

const repository = z.looseObject({ clone_url: z.string(), ssh_url: z.string() })

const push = z.looseObject({ ref: z.string(), repository })
/** Payload of `create` and `delete`. `ref` is a short name. */
const change = z.looseObject({ ref: z.string(), ref_type: z.string(), repository })
/** The ping of an organisation's webhook names no repository. */
const ping = z.looseObject({ repository: repository.optional() })

const signature = ['x-hub-signature-256']

export function github(secret: string): Provider {
  const webhooks = new Webhooks({ secret })
  return {
    name: 'github',
    headers: { proof: signature, event: ['x-github-event'], delivery: ['x-github-delivery'] },
    events: 'push, create, delete',
    jsonAdvice: 'set "Content type" of the webhook to application/json',
    async authenticate(body, headers) {
      // The library verifies text. Bytes that are not UTF-8 would be replaced, so that the text of another
      // body could match.
      if (body.length === 0 || !isUtf8(body)) return false
      return webhooks.verify(body.toString(), headerOf(headers, signature))
    },
    read(event, payload) {
      switch (event) {
        case 'push': {
          const { ref, repository } = push.parse(payload)
          return { event, repositoryUrls: urlsOf(repository), refs: [ref] }
        }
        case 'create':
        case 'delete': {
          const { ref, ref_type, repository } = change.parse(payload)
          return { event, repositoryUrls: urlsOf(repository), refs: [fullRef(ref_type, ref)] }
        }
        case 'ping': {
          const { repository } = ping.parse(payload)
          return { event, repositoryUrls: repository ? urlsOf(repository) : [], refs: [] }
        }
        default:
          return undefined
      }
    },
  }
}

function urlsOf(repository: z.infer<typeof push>['repository']): string[] {
  return [repository.clone_url, repository.ssh_url]
}
