/**
 * Webhooks of GitLab. GitLab does not sign a delivery, but sends the secret in a header.
 * @see https://docs.gitlab.com/user/project/integrations/webhooks/
 * @see https://docs.gitlab.com/user/project/integrations/webhook_events/
 */
import { z } from 'zod'
import { headerOf, type Provider } from './provider.ts'
import { isSecret } from './shared-secret.ts'

/** Payload of a push of a branch or a tag. */
const push = z.looseObject({
  ref: z.string(),
  project: z.looseObject({ git_http_url: z.string(), git_ssh_url: z.string() }),
})

const token = ['x-gitlab-token']
const events = new Set(['Push Hook', 'Tag Push Hook'])

export function gitlab(secret: string): Provider {
  return {
    name: 'gitlab',
    headers: { proof: token, event: ['x-gitlab-event'], delivery: ['x-gitlab-event-uuid'] },
    events: [...events].join(', '),
    jsonAdvice: 'GitLab sends application/json: look for a proxy that changes it',
    authenticate: (_, headers) => isSecret(headerOf(headers, token), secret),
    read(event, payload) {
      if (!events.has(event)) return undefined
      const { ref, project } = push.parse(payload)
      return { event, repositoryUrls: [project.git_http_url, project.git_ssh_url], refs: [ref] }
    },
  }
}
