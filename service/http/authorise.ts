/**
 * Access control. Every route has this step, and a cached answer passes it, too, before it is sent. So
 * no work is done, and nothing is revealed, for a request that it refuses.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import type { ImageName } from '../image/image-name.ts'

/** The parts of a request that access may depend on. */
export interface AccessRequest {
  readonly method: string
  /** Path and query, as the client sent them. */
  readonly url: string
  /** The image that the request names; absent on routes without an image. */
  readonly name: ImageName | undefined
  /** IP address of the client. */
  readonly address: string
  readonly headers: IncomingHttpHeaders
}

/**
 * Decides whether a request may go on. Returns a promise only if it must wait: a cached answer is then
 * sent in the same turn of the event loop.
 * @throws Failure denied
 */
export type Authorise = (request: AccessRequest) => Promise<void> | void

/** Lets every request pass: there is no access control yet. */
export const allowAll: Authorise = () => {}

/** The request as a route has parsed it. */
export type ParsedRequest = object & { readonly name?: ImageName }

/** The step of a route that stands between parsing and acting. */
export type AuthoriseStep = (ctx: Context, request: ParsedRequest) => Promise<void> | void

export function authoriseStep(authorise: Authorise): AuthoriseStep {
  return (ctx, { name }) => authorise(accessRequestOf(ctx.req, name))
}

export function accessRequestOf(
  { method = '', url = '', socket, headers }: IncomingMessage,
  name: ImageName | undefined,
): AccessRequest {
  return { method, url, name, address: socket.remoteAddress ?? '', headers }
}
