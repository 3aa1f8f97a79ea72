/** Passes each request to its route. A request without a route is answered 404, or 405 with `Allow`. */
import { createRequire } from 'node:module'
import type { RouterContext } from '@koa/router'
import type { Middleware } from 'koa'
import { Failure } from '../image/errors.ts'
import { percentDecoded } from '../text/percent-decoding.ts'
import { isRegistryPath } from './registry/base.ts'
import type { Route } from './route.ts'

/** The CommonJS build of the router. The other build imports all of `node:http`, and so undici, in 25 ms. */
const { Router } = createRequire(import.meta.url)('@koa/router') as typeof import('@koa/router')

/** Returns middleware for the table. The first route that matches a request answers it. */
export function routing(table: readonly Route[]): Middleware[] {
  const router = new Router()
  for (const { method, path, handle } of table) {
    const verb = method === 'ANY' ? 'all' : method === 'POST' ? 'post' : 'get'
    router[verb](pathPattern(path), (ctx: RouterContext) =>
      handle(ctx, (ctx.captures ?? []).map(percentDecoded)),
    )
  }
  return [router.routes() as Middleware, answerUnrouted(table)]
}

/** A repository name holds slashes, so `<name>` is everything before the last word of the path. */
function pathPattern(path: string): RegExp {
  const pattern = path.replace(/<(\w+)>/g, (_, placeholder) =>
    placeholder === 'name' || placeholder === 'rest' ? '(.*)' : '([^/]+)',
  )
  return new RegExp(`^${pattern}$`)
}

/**
 * Computes `Allow` from the matches: `router.allowedMethods()` would answer OPTIONS 200 and unknown methods
 * 501, and here both are 405.
 */
function answerUnrouted(table: readonly Route[]): Middleware {
  return (ctx) => {
    const { method, path } = ctx
    const { matched = [] } = ctx as unknown as RouterContext
    const allowed = [...new Set(matched.flatMap((layer) => layer.methods))].sort().join(', ')
    if (allowed === '') throw new Failure('route-unknown', unknownPath(path, table))
    ctx.set('Allow', allowed)
    throw new Failure(
      'unsupported',
      isRegistryPath(path)
        ? `${method} is not supported: this registry accepts no images, because it builds them; ` +
            'push packages to its package-set repository instead'
        : `${path} accepts ${allowed}, not ${method}`,
    )
  }
}

/** Returns a message that lists the routes with the same first part, such as `/api/refs` for `/api/ref`. */
function unknownPath(path: string, table: readonly Route[]): string {
  const [folder] = /^\/[^/]+\//.exec(path) ?? []
  const siblings = table
    .filter((route) => folder !== undefined && route.path.startsWith(folder))
    .map((route) => (route.method === 'GET' ? route.path : `${route.method} ${route.path}`))
  const advice = siblings.length === 0 ? '' : `; there is ${siblings.join(', ')}`
  return `there is no ${path}${advice}`
}
