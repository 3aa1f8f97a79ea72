/** Answers of a service that has not read its source yet. */
import type { RequestListener } from 'node:http'
import { Failure } from '../image/errors.ts'
import { type ErrorAnswer, errorAnswer } from './errors.ts'

const notReady = new Failure('unavailable', 'Slipway is starting: try again in a few seconds', {
  retryAfter: 5,
})

export const starting: RequestListener = (request, response) => {
  const path = request.url?.split('?', 1)[0] ?? ''
  const { status, headers, body } = answerTo(path)
  response.writeHead(status, { ...headers, 'Content-Length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function answerTo(path: string): ErrorAnswer {
  const failure = errorAnswer(notReady, path)
  if (path === '/readyz') return { ...failure, body: jsonOf({ status: 'starting' }) }
  if (path !== '/healthz') return failure
  const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }
  return { status: 200, headers, body: jsonOf({ status: 'ok' }) }
}

function jsonOf(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}
