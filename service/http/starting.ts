/** The answers of a service that has not read its source yet. */
import type { RequestListener } from 'node:http'

/** Seconds. */
const retryAfter = '5'

const answers: Record<string, { status: number; body: object }> = {
  '/healthz': { status: 200, body: { status: 'ok' } },
  '/readyz': { status: 503, body: { status: 'starting' } },
}

const unavailable = {
  status: 503,
  body: {
    errors: [
      {
        code: 'UNAVAILABLE',
        message: 'Slipway is starting: try again in some seconds',
        detail: null,
      },
    ],
  },
}

export const starting: RequestListener = (request, response) => {
  const path = request.url?.split('?', 1)[0] ?? ''
  const { status, body } = answers[path] ?? unavailable
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    ...(status === 503 ? { 'Retry-After': retryAfter } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : text)
}
