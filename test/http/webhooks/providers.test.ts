// Deliveries of each provider.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  expectAccepted,
  expectFailure,
  genericHeaders,
  giteaHeaders,
  githubExample,
  githubHeaders,
  gitlabHeaders,
  hmac,
  json,
  payloadOf,
  secret,
} from '../../support/webhook-deliveries.ts'
import { WebhookServer } from '../../support/webhook-server.ts'

/** URL of the tracked repository in the payloads of GitLab and Gitea. */
const ours = 'https://git.example.com/acme/packages'

let server: WebhookServer
beforeEach(async () => {
  server = await WebhookServer.start({ secret, others: [ours] })
})
afterEach(async () => {
  expect(server.logged).not.toContain(secret)
  await server[Symbol.asyncDispose]()
})

describe('GitHub', () => {
  test.each([
    ['push', 0, 'refs/tags/simple-tag'],
    ['push', 4, 'refs/heads/master'],
    ['create', 0, 'refs/tags/simple-tag'],
    ['delete', 0, 'refs/tags/simple-tag'],
  ])('GitHub %s (example %i) requests a reconcile for %s', async (event, index, ref) => {
    const body = JSON.stringify(githubExample(event, index))
    expect(
      await expectAccepted(server, '/webhooks/github', body, githubHeaders(event, body)),
    ).toEqual({
      provider: 'github',
      event,
      refs: [ref],
      refCount: 1,
      delivery: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    })
    expect(server.outcomes).toEqual(['github accepted'])
    expect(server.log.at('info')[0]).toMatchObject({
      message: 'webhook accepted',
      fields: { provider: 'github', event, refs: [ref], delivery: /^72d3162e/ },
    })
  })

  test('a repeated delivery of GitHub requests a reconcile each time', async () => {
    const body = JSON.stringify(githubExample('push'))
    for (let i = 0; i < 3; i += 1) {
      await expectAccepted(server, '/webhooks/github', body, githubHeaders('push', body))
    }
    expect(server.reconciles).toHaveLength(3)
  })

  test.each([0, 3])(
    'GitHub ping (example %i) without the tracked repository requests nothing',
    async (index) => {
      const body = JSON.stringify(githubExample('ping', index))
      const reason = await expectFailure(
        server,
        202,
        '/webhooks/github',
        body,
        githubHeaders('ping', body),
      )
      expect(reason).toMatch(index === 3 ? /^pong/ : /of github\.com\/octocoders\/hello-world,/i)
    },
  )

  test('GitHub ping of the tracked repository answers pong', async () => {
    const { repository } = githubExample('push') as { repository: object }
    const body = JSON.stringify({ ...githubExample('ping'), repository })
    const reason = await expectFailure(
      server,
      202,
      '/webhooks/github',
      body,
      githubHeaders('ping', body),
    )
    expect(reason).toBe('pong: the secret is right')
    expect(server.outcomes).toEqual(['github pong'])
  })

  test.each(['issues', 'star', 'nonsense', 'constructor', ''])(
    'GitHub event %j requests nothing',
    async (event) => {
      const body = JSON.stringify(githubExample('push'))
      const reason = await expectFailure(
        server,
        202,
        '/webhooks/github',
        body,
        githubHeaders(event, body),
      )
      expect(reason).toContain(`"${event}"`)
      expect(reason).toContain('push, create, delete')
      expect(server.outcomes).toEqual(['github ignored'])
    },
  )

  test('a form from GitHub answers 415 with the setting to change', async () => {
    const body = `payload=${encodeURIComponent(JSON.stringify(githubExample('push')))}`
    const headers = {
      ...githubHeaders('push', body),
      'Content-Type': 'application/x-www-form-urlencoded',
    }
    const reason = await expectFailure(server, 415, '/webhooks/github', body, headers)
    expect(reason).toMatch(/x-www-form-urlencoded: set "Content type" .* to application\/json/)
  })

  test('a body from GitHub that is not UTF-8 answers 401', async () => {
    const text = JSON.stringify({ ...githubExample('push'), note: '\ufffd' })
    const headers = githubHeaders('push', text)
    await expectAccepted(server, '/webhooks/github', text, headers)
    server.reconciles.length = 0
    const raw = Buffer.from(text)
    const at = raw.indexOf('\ufffd')
    const other = Buffer.concat([raw.subarray(0, at), Buffer.of(0xff), raw.subarray(at + 3)])
    expect(other.toString()).toBe(text)
    await expectFailure(server, 401, '/webhooks/github', other, headers)
  })

  test('a failed delivery of GitHub is logged once with its id', async () => {
    await expectFailure(server, 400, '/webhooks/github', '{', githubHeaders('push', '{'))
    expect(server.log.at('info', 'warn', 'error')).toMatchObject([
      {
        level: 'warn',
        fields: {
          ...{ provider: 'github', delivery: '72d3162e-cc78-11e3-81ab-4c9367dc0958' },
          ...{ kind: 'malformed', status: 400, failure: 'the payload is no valid JSON' },
        },
      },
    ])
  })

  test('an empty body from GitHub answers 401', async () => {
    await expectFailure(server, 401, '/webhooks/github', '', githubHeaders('push', ''))
  })
})

describe('GitLab', () => {
  test.each([
    ['Push Hook', 'gitlab-push', 'refs/heads/main'],
    ['Tag Push Hook', 'gitlab-tag-push', 'refs/tags/release-v2'],
  ])('GitLab %s requests a reconcile', async (event, name, ref) => {
    expect(
      await expectAccepted(server, '/webhooks/gitlab', payloadOf(name), gitlabHeaders(event)),
    ).toEqual({
      provider: 'gitlab',
      event,
      refs: [ref],
      refCount: 1,
      delivery: '13792a34-cac6-4fda-95a8-c58e00a3954e',
    })
  })

  test('another event of GitLab requests nothing', async () => {
    const body = payloadOf('gitlab-push')
    const reason = await expectFailure(
      server,
      202,
      '/webhooks/gitlab',
      body,
      gitlabHeaders('Issue Hook'),
    )
    expect(reason).toMatch(/"Issue Hook".*Push Hook, Tag Push Hook/)
  })

  test.each([
    'x',
    `${secret}x`,
    secret.slice(0, -1),
    secret.toUpperCase(),
    hmac(payloadOf('gitlab-push')),
  ])('the wrong token %j of GitLab answers 401', async (token) => {
    const body = payloadOf('gitlab-push')
    const reason = await expectFailure(
      server,
      401,
      '/webhooks/gitlab',
      body,
      gitlabHeaders('Push Hook', token),
    )
    expect(reason).toMatch(/x-gitlab-token .*SLIPWAY_WEBHOOK_SECRET/)
  })

  test('a token of GitLab in UTF-8 is accepted', async () => {
    const unicode = 'Schlüssel 鍵'
    await using other = await WebhookServer.start({ secret: unicode, repository: ours })
    const token = Buffer.from(unicode).toString('latin1')
    // As bytes: with a text body, Node would encode the header as UTF-8 again.
    const body = Buffer.from(payloadOf('gitlab-push'))
    const answer = await other.post('/webhooks/gitlab', body, gitlabHeaders('Push Hook', token))
    expect(answer.json()).toEqual({ accepted: true })
  })
})

describe('Gitea and Forgejo', () => {
  test.each([
    ['push', 'gitea-push', 'refs/heads/main'],
    ['create', 'gitea-create', 'refs/tags/release-v2'],
    ['delete', 'gitea-delete', 'refs/heads/feature/login'],
  ])('Gitea %s requests a reconcile', async (event, name, ref) => {
    const body = payloadOf(name)
    expect(
      await expectAccepted(server, '/webhooks/gitea', body, giteaHeaders(event, body)),
    ).toEqual({
      provider: 'gitea',
      event,
      refs: [ref],
      refCount: 1,
      delivery: 'f6266f16-1bf3-46a5-9ea4-602e06ead473',
    })
  })

  test('headers of Forgejo are read before those of Gitea', async () => {
    const body = payloadOf('forgejo-push')
    const headers = {
      ...giteaHeaders('push', body),
      'X-Forgejo-Delivery': 'aaaa',
      'X-Forgejo-Event': 'push',
      'X-Forgejo-Signature': hmac(body),
    }
    const reason = await expectAccepted(server, '/webhooks/gitea', body, headers)
    expect(reason).toMatchObject({ refs: ['refs/tags/release-v2'], delivery: 'aaaa' })
    server.reconciles.length = 0
    const wrong = { ...headers, 'X-Forgejo-Signature': hmac(body, 'other') }
    await expectFailure(server, 401, '/webhooks/gitea', body, wrong)
  })

  test('another event of Gitea requests nothing', async () => {
    const body = payloadOf('gitea-push')
    await expectFailure(server, 202, '/webhooks/gitea', body, giteaHeaders('repository', body))
  })

  test('a form from Gitea answers 415 with the setting to change', async () => {
    const body = `payload=${encodeURIComponent(payloadOf('gitea-push'))}`
    const type = { 'Content-Type': 'application/x-www-form-urlencoded' }
    const headers = { ...giteaHeaders('push', body), ...type }
    expect(await expectFailure(server, 415, '/webhooks/gitea', body, headers)).toContain(
      'POST content type',
    )
  })

  test('an empty signature of Gitea answers 401', async () => {
    const body = payloadOf('gitea-push')
    const headers = { ...giteaHeaders('push', body), 'X-Gitea-Signature': '' }
    const reason = await expectFailure(server, 401, '/webhooks/gitea', body, headers)
    expect(reason).toMatch(/x-forgejo-signature or x-gitea-signature is missing/)
  })
})

describe('generic', () => {
  test.each([
    ['', []],
    ['{}', []],
    ['{"ref": "refs/tags/v1"}', ['refs/tags/v1']],
    ['{"refs": ["refs/tags/v1", "refs/heads/a"]}', ['refs/tags/v1', 'refs/heads/a']],
    ['{"ref": "refs/tags/größe-鍵"}', ['refs/tags/größe-鍵']],
  ])('generic delivery %j requests a reconcile', async (body, refs) => {
    const reason = await expectAccepted(server, '/webhooks/generic', body, genericHeaders(body))
    expect(reason).toEqual({ provider: 'generic', event: 'push', refs, refCount: refs.length })
  })

  test('a generic delivery needs no content type', async () => {
    const { 'X-Signature-256': signature } = genericHeaders('')
    await expectAccepted(server, '/webhooks/generic', '', { 'X-Signature-256': signature })
  })

  test('a generic signature without sha256= answers 401', async () => {
    await expectFailure(server, 401, '/webhooks/generic', '', {
      ...json,
      'X-Signature-256': hmac(''),
    })
  })

  test('a delivery with 1,000 refs is accepted, and its log line has their number and 20 of them', async () => {
    const refs = Array.from({ length: 1000 }, (_, i) => `refs/tags/v${i}`)
    const body = JSON.stringify({ refs })
    expect(
      await expectAccepted(server, '/webhooks/generic', body, genericHeaders(body)),
    ).toMatchObject({ refs: refs.slice(0, 20), refCount: 1000 })
  })
})

describe('the repository of a delivery', () => {
  test('a delivery of another repository answers 202 with the names of both', async () => {
    await using other = await WebhookServer.start({
      secret,
      repository: 'https://robot:hunter2@GitHub.com/acme/packages.git',
      others: ['git@mirror.example.com:packages.git'],
    })
    const body = JSON.stringify(githubExample('push'))
    const answer = await other.post('/webhooks/github', body, githubHeaders('push', body))
    expect(answer.status).toBe(202)
    expect(answer.json()).toEqual({
      accepted: false,
      reason:
        'the webhook is of github.com/Codertocat/Hello-World, but the tracked repository is ' +
        'github.com/acme/packages or mirror.example.com/packages; if they are the same, ' +
        'set SLIPWAY_WEBHOOK_REPOSITORY to the URL of the first',
    })
    expect(other.reconciles).toEqual([])
    expect(other.outcomes).toEqual(['github other-repository'])
    expect(other.logged).not.toContain('hunter2')
  })

  test.each([
    'git@github.com:Codertocat/Hello-World.git',
    'ssh://git@github.com/Codertocat/Hello-World',
    'https://token@github.com/codertocat/hello-world/',
  ])('a delivery of the repository that is tracked as %s is accepted', async (repository) => {
    await using other = await WebhookServer.start({ secret, repository })
    const body = JSON.stringify(githubExample('push'))
    const answer = await other.post('/webhooks/github', body, githubHeaders('push', body))
    expect(answer.json()).toEqual({ accepted: true })
  })
})
