/** From a request to its answer: written down, let through the faults, done by its endpoint, answered. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { errorReply, send } from './answer.ts'
import { Call, type Reply } from './call.ts'
import { ConnectionCut } from './content.ts'
import { endpoints } from './endpoints.ts'
import type { RequestRecord } from './ledger.ts'
import { unknownParameters } from './parameters.ts'
import { routeOf } from './route.ts'
import type { Service } from './service.ts'
import { failure, invalid, ServiceError } from './service-error.ts'

/** @throws when there is nobody left to answer */
export async function serve(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { faults, ledger } = service
  const { method = '', url: path = '', headers } = request
  const route = routeOf(request)
  const { kind, key } = route
  const counters = { bytesIn: 0, bytesOut: 0, status: 0 }
  const record: RequestRecord = { kind, method, path, key, headers, time: Date.now(), ...counters }
  ledger.requests.push(record)
  const call = new Call(service, request, route, record)

  const slow = faults.of('delay', record)
  if (slow && faults.spend(slow)) await delay(response, slow.milliseconds)
  const reply = await replyTo(call)
  await call.drain()
  if (faults.spend(faults.of('lose-answer', record))) request.socket.destroy()
  else await send(response, record, reply, faults)
}

/** @throws {ConnectionCut} */
async function replyTo(call: Call): Promise<Reply> {
  const { route, record, query } = call
  const { faults } = call.service
  const failing = faults.of('fail', record)
  try {
    if (failing && faults.spend(failing)) throw failure(failing.status)
    for (const name of unknownParameters(route.kind, query)) {
      call.violation(`unknown parameter ${name}`)
    }
    return await endpoints[route.kind](call)
  } catch (error) {
    if (error instanceof ConnectionCut) throw error
    if (error instanceof ServiceError) return errorReply(error, route.api)
    if (error instanceof URIError) return errorReply(invalid(error.message), route.api)
    // Nobody shall take it for a fault that was ordered.
    call.violation(`the emulator has a fault of its own: ${(error as Error).stack}`)
    return errorReply(failure(500), route.api)
  }
}

/** @throws when the client does not wait so long */
async function delay(response: ServerResponse, milliseconds: number): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  await wait(milliseconds, undefined, { signal: gone.signal })
}
