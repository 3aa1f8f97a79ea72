/**
 * Who somebody is: tokens for assertions, tokens for tokens, the metadata server of a machine, and
 * signatures by Google's hand. On the real service these are hosts of their own.
 */
import { sign } from 'node:crypto'
import { type Call, jsonReply, type Reply } from './call.ts'
import type { Service } from './service.ts'
import { failure, invalid, invalidCredentials, noSuchRoute } from './service-error.ts'
import { tokenLifetime } from './tokens.ts'

/** What stands for the identity that another provider vouches for. */
const subjectToken = 'a token of another identity provider'

/** Google's own libraries name this audience whatever the key file says. */
const googleAudience = 'https://oauth2.googleapis.com/token'

/** POST /token, POST /sts/v1/token, POST …/serviceAccounts/EMAIL:generateAccessToken */
export async function token(call: Call): Promise<Reply> {
  const { service } = call
  const path = call.record.path
  if (path.endsWith(':generateAccessToken')) {
    mustBeAuthorized(call)
    const expireTime = new Date(service.now() + tokenLifetime * 1000).toISOString()
    return jsonReply({ accessToken: service.tokens.issue(), expireTime })
  }
  const form = new URLSearchParams(await call.text())
  const wrong = path === '/token' ? wrongAssertion(service, form) : wrongExchange(form)
  if (wrong) {
    call.violation(wrong)
    return jsonReply({ error: 'invalid_grant', error_description: wrong }, 400)
  }
  return jsonReply({
    access_token: service.tokens.issue(),
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: tokenLifetime,
  })
}

/** @see https://developers.google.com/identity/protocols/oauth2/service-account#httprest */
function wrongAssertion(service: Service, form: URLSearchParams): string | undefined {
  const grant = form.get('grant_type')
  if (grant !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') return `grant_type is ${grant}`
  const claims = service.tokens.claimsOf(form.get('assertion') ?? '')
  if (typeof claims === 'string') return claims
  const audiences = [`${service.url}/token`, googleAudience]
  if (!audiences.includes(claims.aud ?? '')) return `Invalid JWT: aud is ${claims.aud}.`
  return claims.scope ? undefined : 'Invalid JWT: no scope.'
}

/** @see https://www.rfc-editor.org/rfc/rfc8693#section-2.1 */
function wrongExchange(form: URLSearchParams): string | undefined {
  const grant = form.get('grant_type')
  if (grant !== 'urn:ietf:params:oauth:grant-type:token-exchange') return `grant_type is ${grant}`
  return form.get('subject_token') === subjectToken ? undefined : 'Unknown subject_token.'
}

/**
 * POST /v1/projects/-/serviceAccounts/EMAIL:signBlob
 * @see https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
 */
export async function signBlob(call: Call): Promise<Reply> {
  mustBeAuthorized(call)
  const { account } = call.service
  const { payload } = await call.json()
  if (typeof payload !== 'string') throw invalid('payload is required')
  const signature = sign('RSA-SHA256', Buffer.from(payload, 'base64'), account.privateKey)
  return jsonReply({ keyId: account.keyId, signedBlob: signature.toString('base64') })
}

/** These calls are never anonymous, and only about the one account that there is. */
function mustBeAuthorized(call: Call): void {
  const { tokens, account } = call.service
  if (!tokens.accepts(call.header('authorization') ?? '')) throw invalidCredentials()
  const [, email] = /serviceAccounts\/([^:]+):/.exec(decodeURIComponent(call.record.path)) ?? []
  if (email !== account.email && email !== '-') throw failure(404)
}

/**
 * GET /computeMetadata/v1/…, as on a machine of Google's, and the subject token of a workload elsewhere.
 * @see https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
 */
export function identity(call: Call): Reply {
  const { account, tokens } = call.service
  const [path = ''] = call.record.path.split('?')
  if (path === '/subject-token') return text(subjectToken)
  if (call.header('metadata-flavor') !== 'Google') throw failure(403)
  switch (path.replace('/computeMetadata/v1/', '').replace(/\/$/, '')) {
    case 'instance':
      return text('attributes/\nservice-accounts/\n')
    case 'instance/service-accounts/default/email':
      return text(account.email)
    case 'instance/service-accounts/default/token': {
      const token = { access_token: tokens.issue(), token_type: 'Bearer' }
      return metadata(JSON.stringify({ ...token, expires_in: tokenLifetime }), 'application/json')
    }
    case 'project/project-id':
      return text('test')
    case 'universe/universe-domain':
    case 'universe/universe_domain':
      return text('googleapis.com')
    default:
      throw noSuchRoute()
  }
}

function text(body: string): Reply {
  return metadata(body, 'application/text')
}

function metadata(body: string, type: string): Reply {
  return { status: 200, headers: { 'Content-Type': type, 'Metadata-Flavor': 'Google' }, body }
}

/**
 * Application default credentials that make the client sign by `signBlob`, every URL of theirs being
 * the emulator's.
 *
 * - `impersonated_service_account`: the client asks `endpoint` for tokens and signatures.
 * - `external_account`: the client signs at `iamcredentials.googleapis.com`, unless its caller gives
 *   `signingEndpoint` (`URL/v1/projects/-/serviceAccounts/`) to `getSignedUrl`.
 */
export function applicationDefaultCredentials(
  type: 'impersonated_service_account' | 'external_account',
  email: string,
  url: string,
): object {
  const impersonation = `${url}/v1/projects/-/serviceAccounts/${email}:generateAccessToken`
  const external = {
    type: 'external_account',
    audience: '//iam.googleapis.com/locations/global/workloadIdentityPools/test/providers/test',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${url}/sts/v1/token`,
    credential_source: { url: `${url}/subject-token` },
  }
  return type === 'external_account'
    ? { ...external, service_account_impersonation_url: impersonation }
    : {
        type,
        service_account_impersonation_url: impersonation,
        source_credentials: external,
        endpoint: url,
        delegates: [],
      }
}
