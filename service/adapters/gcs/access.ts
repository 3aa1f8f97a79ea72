/** Looks once, at the start, whether the bucket can be used: what is wrong then is a setting. */
import { z } from 'zod'
import { Failure, messageOf } from '../../image/errors.ts'
import type { GcsClient } from './client.ts'
import { failureOf, isAbsent, statusOf } from './fault.ts'
import { type GcsSettings, neededRole } from './settings.ts'

const needed = ['create', 'delete', 'get', 'list'].map((verb) => `storage.objects.${verb}`)

const answer = z.object({ permissions: z.array(z.string()).default([]) })

/**
 * Asks which permissions there are: whoever may only use objects may not read the bucket itself.
 * @throws Failure unavailable, which says what to change
 * @see https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions
 */
export async function checkAccess({ storage }: GcsClient, settings: GcsSettings): Promise<void> {
  const { bucket } = settings
  let permissions: string[]
  try {
    const [, response] = await storage.bucket(bucket).iam.testPermissions(needed)
    permissions = answer.parse(response).permissions
  } catch (error) {
    throw refusal(error, settings)
  }
  const missing = needed.filter((permission) => !permissions.includes(permission))
  if (missing.length === 0) return
  throw new Failure(
    'unavailable',
    `GCS_BUCKET="${bucket}": the service account lacks ${missing.join(', ')}; grant it ${neededRole} on the bucket`,
  )
}

function refusal(error: unknown, { bucket, credentialsPath }: GcsSettings): Failure {
  if (isAbsent(error)) {
    const reason = `GCS_BUCKET="${bucket}": there is no such bucket; create it, or name one that exists`
    return new Failure('unavailable', reason)
  }
  const status = statusOf(error)
  if (status === 401 || status === 403) {
    const reason = `GCS_BUCKET="${bucket}": access is denied; grant the service account ${neededRole} on the bucket`
    return new Failure('unavailable', reason)
  }
  if (
    status === undefined &&
    /default credentials|invalid_grant|private key|PEM/i.test(messageOf(error))
  ) {
    const found =
      credentialsPath === undefined ? 'there are none' : `"${credentialsPath}" holds none`
    const reason = `no Google credentials can be used (${found}): set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file (${messageOf(error)})`
    return new Failure('unavailable', reason)
  }
  return failureOf(bucket, error)
}
