/** One request on its way through the emulator, with all that an endpoint needs to answer it. */
import type { IncomingMessage } from 'node:http'
import { finished } from 'node:stream/promises'
import { bodyOf, damaged } from './content.ts'
import type { RequestRecord } from './ledger.ts'
import type { Route } from './route.ts'
import type { Service } from './service.ts'
import { invalid } from './service-error.ts'

/** Part of a file, already opened: whatever happens to the object from now on, the answer is whole. */
export interface FilePart {
  readonly descriptor: number
  readonly start: number
  /** Bytes. */
  readonly length: number
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | FilePart
}

/** @throws {ServiceError} what the service refuses */
export type Endpoint = (call: Call) => Reply | Promise<Reply>

/** Metadata in a request is a few hundred bytes; the real limit is in this order, too. */
const maximalJson = 64 * 1024

export class Call {
  readonly service: Service
  readonly request: IncomingMessage
  readonly route: Route
  readonly record: RequestRecord
  readonly query: URLSearchParams
  /** Of the body, as it comes. */
  readonly body: AsyncIterable<Buffer>
  /** A fault has changed the content: that its checksum is wrong is not the client's mistake. */
  damaged = false

  constructor(service: Service, request: IncomingMessage, route: Route, record: RequestRecord) {
    this.service = service
    this.request = request
    this.route = route
    this.record = record
    this.query = new URL(record.path, service.url).searchParams
    this.body = bodyOf(request, record, service.faults)
  }

  violation(problem: string): void {
    this.service.ledger.violation(this.record, problem)
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }

  /** What of the body is an object's content goes through here, where a fault may change it. */
  content(source: AsyncIterable<Buffer> = this.body): AsyncIterable<Buffer> {
    const { faults } = this.service
    this.damaged = faults.spend(faults.of('corrupt-upload', this.record))
    return this.damaged ? damaged(source) : source
  }

  async text(): Promise<string> {
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of this.body) {
      length += chunk.length
      if (length > maximalJson) throw invalid('The request is too long.')
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString()
  }

  /** An empty body counts as an empty object. */
  async json(): Promise<Record<string, unknown>> {
    return parseJson(await this.text())
  }

  /**
   * Reads what is left of the body, so that the client has sent all of it when it sees the answer.
   * @throws {ConnectionCut}
   */
  async drain(): Promise<void> {
    for await (const _ of this.body);
    // Of a body that somebody has stopped reading the iterator gives no more.
    if (this.request.complete) return
    this.request.resume()
    await finished(this.request, { writable: false })
  }
}

/** @throws {ServiceError} 400 */
export function parseJson(text: string): Record<string, unknown> {
  if (text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return { ...value }
  } catch {
    // Said below.
  }
  throw invalid('Parse Error')
}

export function jsonReply(value: object, status = 200): Reply {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=UTF-8' },
    body: JSON.stringify(value),
  }
}
