import type { Context } from 'koa'

/** Sends a value as JSON. The body is bytes, because Koa would add a charset to the type of a text. */
export function sendJson(ctx: Context, value: object, type = 'application/json'): void {
  ctx.set('Content-Type', type)
  ctx.body = Buffer.from(JSON.stringify(value))
}
