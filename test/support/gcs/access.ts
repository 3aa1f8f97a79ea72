/** Who may do what. There is one caller, with one set of permissions, and the anonymous. */
import type { Call } from './call.ts'
import { forbidden, invalidCredentials, noSuchBucket } from './service-error.ts'

/** Those of the role Storage Object Admin and of Storage Legacy Bucket Reader. */
export const allPermissions = [
  'storage.buckets.get',
  'storage.objects.create',
  'storage.objects.delete',
  'storage.objects.get',
  'storage.objects.list',
  'storage.objects.update',
] as const

export type Permission = (typeof allPermissions)[number]

/**
 * A client that is given an `apiEndpoint` sends no authorization, so none is asked for by default; one
 * that is sent must be good.
 * @throws {ServiceError} 401, 403, or 404 for a bucket that is not there
 */
export function authorize(call: Call, ...permissions: readonly Permission[]): void {
  const { service } = call
  const authorization = call.header('authorization')
  if (authorization !== undefined) {
    if (!service.tokens.accepts(authorization)) throw invalidCredentials()
  } else if (service.settings.requireAuthorization) throw invalidCredentials()
  mustBeBucket(call)
  for (const permission of permissions) mustHave(call, permission)
}

/** @throws {ServiceError} 404 */
export function mustBeBucket({ service, route }: Call): void {
  if (route.bucket !== service.bucket.name) throw noSuchBucket()
}

/** @throws {ServiceError} 403 */
export function mustHave(call: Call, permission: Permission): void {
  const { settings, account } = call.service
  if (!settings.permissions.has(permission)) throw forbidden(account.email, permission)
}
