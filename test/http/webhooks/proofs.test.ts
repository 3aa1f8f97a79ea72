// Proofs that the sender knows the secret: signatures and tokens.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RequestHeaders } from '../../support/app-server.ts'
import { expectFailure, hmac, json, secret } from '../../support/webhook-deliveries.ts'
import { WebhookServer } from '../../support/webhook-server.ts'

let server: WebhookServer
beforeEach(async () => {
  server = await WebhookServer.start({ secret })
})
afterEach(async () => {
  expect(server.logged).not.toContain(secret)
  await server[Symbol.asyncDispose]()
})

describe('a proof', () => {
  const body = '{"ref": "refs/tags/v1"}'
  const sending: [string, string, (proof: string | string[]) => RequestHeaders][] = [
    [
      'github',
      `sha256=${hmac(body)}`,
      (proof) => ({ ...json, 'X-GitHub-Event': 'push', 'X-Hub-Signature-256': proof }),
    ],
    [
      'gitlab',
      secret,
      (proof) => ({ ...json, 'X-Gitlab-Event': 'Push Hook', 'X-Gitlab-Token': proof }),
    ],
    ['gitea', hmac(body), (p) => ({ ...json, 'X-Gitea-Event': 'push', 'X-Gitea-Signature': p })],
    ['generic', `sha256=${hmac(body)}`, (proof) => ({ ...json, 'X-Signature-256': proof })],
  ]

  describe.each(sending)('of %s', (provider, proof, headers) => {
    const path = `/webhooks/${provider}`

    test(`a delivery to ${provider} without a proof answers 401 with the header to send`, async () => {
      const reason = await expectFailure(server, 401, path, body, json)
      expect(reason).toMatch(/^the header x-.* is missing: .*SLIPWAY_WEBHOOK_SECRET/)
      expect(server.outcomes).toEqual([`${provider} unauthorized`])
      expect(server.log.at('info', 'warn', 'error')).toMatchObject([
        {
          level: 'warn',
          fields: { provider, path, status: 401, kind: 'unauthorized', failure: reason },
        },
      ])
    })

    test(`a delivery to ${provider} with two proofs answers 401`, async () => {
      await expectFailure(server, 401, path, body, headers([proof, proof]))
      await expectFailure(server, 401, path, body, headers([proof, 'x']))
    })

    test.each([
      'x',
      'sha256=',
      `sha256=${'0'.repeat(64)}`,
      '0'.repeat(64),
      `sha1=${hmac(body).slice(0, 40)}`,
      `sha256=${hmac(body, 'another secret')}`,
      hmac(body, 'another secret'),
      `sha256=${hmac(body, '')}`,
      hmac(body, ''),
      `sha256=${hmac(body)}00`,
      `sha256=${'é'.repeat(64)}`,
    ])(`a delivery to ${provider} with the wrong proof %s answers 401`, async (wrong) => {
      await expectFailure(server, 401, path, body, headers(wrong))
    })

    test(`a delivery to ${provider} with a wrong proof answers 401 for every body`, async () => {
      await expectFailure(server, 401, path, '{', headers('wrong'))
      await expectFailure(server, 401, path, '', headers('wrong'))
    })
  })

  test.each(sending.filter(([provider]) => provider !== 'gitlab'))(
    'the signature of %s covers every byte of the body',
    async (provider, proof, headers) => {
      const bytes = Buffer.from(body)
      for (let i = 0; i < bytes.length; i += 1) {
        const tampered = Buffer.from(bytes)
        tampered[i] = (tampered[i] ?? 0) ^ 1
        await expectFailure(server, 401, `/webhooks/${provider}`, tampered, headers(proof))
      }
      await expectFailure(server, 401, `/webhooks/${provider}`, `${body}\n`, headers(proof))
      await expectFailure(server, 401, `/webhooks/${provider}`, `\ufeff${body}`, headers(proof))
    },
  )
})
