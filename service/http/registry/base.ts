/**
 * `GET /v2/`, with which a client checks that this is a registry.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#determining-support
 */
import type { Context, Middleware } from 'koa'
import { sendJson } from '../send-json.ts'

export function isRegistryPath(path: string): boolean {
  return path === '/v2' || path.startsWith('/v2/')
}

/** Middleware that sets the version of the API on every answer under `/v2`, errors included. */
export const apiVersion: Middleware = (ctx, next) => {
  if (isRegistryPath(ctx.path)) ctx.set('Docker-Distribution-API-Version', 'registry/2.0')
  return next()
}

export function sendBase(ctx: Context): void {
  sendJson(ctx, {})
}
