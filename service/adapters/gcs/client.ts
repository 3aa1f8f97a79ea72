/** The client library, set up once. */
import { createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { IdempotencyStrategy, Storage } from '@google-cloud/storage'
import { GoogleAuth } from 'google-auth-library'
import { z } from 'zod'
import { Failure, messageOf } from '../../image/errors.ts'
import type { GcsSettings } from './settings.ts'

/** Milliseconds that one request without a body may take. */
const timeout = 20_000

/** What a token is good for: objects, and nothing else of the project. */
const scopes = ['https://www.googleapis.com/auth/devstorage.read_write']
/** The least that IAM signs for. */
const signing = 'https://www.googleapis.com/auth/iam'

const serviceAccountKey = z.object({
  type: z.literal('service_account'),
  client_email: z.string(),
  private_key: z.string(),
})

export interface GcsClient {
  readonly storage: Storage
  /** Base of all URLs, without a slash at its end. */
  readonly endpoint: string
  /** Whether URLs can be signed: with a key in hand, or by IAM. */
  readonly signs: boolean
  /** What a request must carry besides its own headers. */
  authorization(url: string): Promise<Record<string, string>>
}

/** @throws Failure unavailable: the credentials file cannot be used */
export async function createClient(settings: GcsSettings): Promise<GcsClient> {
  const { endpoint, credentialsPath, signByIam } = settings
  const hasKey = credentialsPath !== undefined && (await holdsKey(credentialsPath))
  // A token is worth as much as a password: it goes nowhere unencrypted.
  const authenticates = endpoint === undefined || endpoint.protocol === 'https:'
  const storage = new Storage({
    // It reads GOOGLE_APPLICATION_CREDENTIALS by itself, and looks where else Google keeps credentials.
    authClient: new GoogleAuth({ scopes: signByIam ? [...scopes, signing] : scopes }),
    // Tried again by Requests: the library's own retries switch each other off when several run at once.
    retryOptions: { autoRetry: false, idempotencyStrategy: IdempotencyStrategy.RetryAlways },
    timeout,
    ...(endpoint === undefined
      ? {}
      : {
          apiEndpoint: endpoint.href.replace(/\/+$/, ''),
          useAuthWithCustomEndpoint: authenticates,
          // Nothing that is asked of a bucket needs it; looking for it would call Google.
          projectId: 'none',
        }),
  })
  return {
    storage,
    endpoint: storage.apiEndpoint,
    signs: hasKey || signByIam,
    async authorization(url) {
      if (!authenticates) return {}
      return Object.fromEntries(await storage.authClient.getRequestHeaders(url))
    },
  }
}

/** Whether credentials hold a key that signs, and do not only say whom to ask. */
async function holdsKey(path: string): Promise<boolean> {
  const unusable = (reason: string) => {
    const message = `GOOGLE_APPLICATION_CREDENTIALS="${path}" is no file with Google credentials: ${reason}`
    return new Failure('unavailable', message)
  }
  let credentials: unknown
  try {
    credentials = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw unusable(error instanceof SyntaxError ? 'it is no JSON' : messageOf(error))
  }
  const key = serviceAccountKey.safeParse(credentials)
  if (!key.success) return false
  try {
    createPrivateKey(key.data.private_key)
  } catch {
    throw unusable('its private_key is no key')
  }
  return true
}
