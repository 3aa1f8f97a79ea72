/**
 * Access control. Every route has this step between parsing and acting, and a cached answer passes it
 * before it is sent. So a denied request causes no work and reveals nothing.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { Failure } from '../image/errors.ts'
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
 * Returns if the request is allowed, and throws if it is denied. Returns a promise only if it has to wait,
 * because a cached answer is sent at once without a promise. May be called twice for a denied request.
 * @throws Failure denied
 */
export type Authorise = (request: AccessRequest) => Promise<void> | void

/** Allows every request: there is no access control yet. */
export const allowAll: Authorise = () => {}

/** The request as a route has parsed it. */
export type ParsedRequest = object & { readonly name?: ImageName }

/** The authorise step in a row of the route table. */
export type AuthoriseStep = (ctx: Context, request: ParsedRequest) => Promise<void> | void

export function authoriseStep(authorise: Authorise): AuthoriseStep {
  return (ctx, { name }) => authorise(accessRequestOf(ctx.req, name))
}

/**
 * Denies requests from pages of other sites as well: such a page must not start work here. The browser
 * tells which site a request comes from.
 */
export function sameSiteOnly(authorise: AuthoriseStep): AuthoriseStep {
  return async (ctx, request) => {
    await authorise(ctx, request)
    if (ctx.get('Sec-Fetch-Site') !== 'cross-site') return
    throw new Failure('denied', 'a page of another site may not request this')
  }
}

export function accessRequestOf(
  { method = '', url = '', socket, headers }: IncomingMessage,
  name: ImageName | undefined,
): AccessRequest {
  return { method, url, name, address: socket.remoteAddress ?? '', headers }
}
