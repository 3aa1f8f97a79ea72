/** Checks at the start that the bucket can be used. A failure at the start is reported as a wrong setting. */
import { z } from 'zod'
import { Failure, messageOf } from '../../image/errors.ts'
import { failureOf, isNotFound, statusOf } from './bucket-errors.ts'
import type { GcsClient } from './client.ts'
import { type GcsSettings, neededRole } from './settings.ts'

const needed = ['create', 'delete', 'get', 'list'].map((verb) => `storage.objects.${verb}`)

const responseSchema = z.object({ permissions: z.array(z.string()).default([]) })

/**
 * Checks the permissions on the bucket. Does not read the bucket's metadata, for which a service account that
 * may only use objects has no permission.
 * @throws Failure unavailable that says what to change
 * @see https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions
 */
export async function checkAccess(client: GcsClient, settings: GcsSettings): Promise<void> {
  const { bucket } = settings
  let permissions: string[]
  try {
    const [, response] = await client.bucket(bucket).iam.testPermissions(needed)
    permissions = responseSchema.parse(response).permissions
  } catch (error) {
    throw accessFailure(error, settings)
  }
  const missing = needed.filter((permission) => !permissions.includes(permission))
  if (missing.length === 0) return
  throw new Failure(
    'unavailable',
    `GCS_BUCKET="${bucket}": the service account lacks ${missing.join(', ')}; grant it ${neededRole} on the bucket`,
  )
}

function accessFailure(error: unknown, { bucket, credentialsPath }: GcsSettings): Failure {
  if (isNotFound(error)) {
    const message = `GCS_BUCKET="${bucket}": there is no such bucket; create it, or name one that exists`
    return new Failure('unavailable', message)
  }
  const status = statusOf(error)
  if (status === 401 || status === 403) {
    const message = `GCS_BUCKET="${bucket}": access is denied; grant the service account ${neededRole} on the bucket`
    return new Failure('unavailable', message)
  }
  const isCredentials = /default credentials|invalid_grant|private key|PEM/i
  if (status === undefined && isCredentials.test(messageOf(error))) {
    const found =
      credentialsPath === undefined ? 'there are none' : `"${credentialsPath}" holds none`
    const message = `no Google credentials can be used (${found}): set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file (${messageOf(error)})`
    return new Failure('unavailable', message)
  }
  return failureOf(bucket, error)
}
