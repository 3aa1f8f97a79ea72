/** What was asked of the emulator, and what was wrong with it. */
import type { IncomingHttpHeaders } from 'node:http'

export type RequestKind =
  | 'bucket'
  | 'permissions'
  | 'list'
  | 'metadata'
  | 'download'
  | 'patch'
  | 'delete'
  | 'copy'
  /** Content: a multipart or media upload, or (a piece of) a resumable one. */
  | 'upload'
  | 'upload-start'
  | 'upload-status'
  | 'upload-cancel'
  | 'signed-get'
  | 'signed-head'
  | 'public-get'
  | 'public-head'
  | 'token'
  | 'sign'
  | 'identity'
  | 'unknown'

export interface RequestRecord {
  readonly kind: RequestKind
  readonly method: string
  /** As received, with the query. */
  readonly path: string
  /** Name of the object, where the request is about one. */
  readonly key: string | undefined
  readonly headers: IncomingHttpHeaders
  /** When its head had arrived, milliseconds since the epoch. */
  readonly time: number
  /** Of the body, that were read. */
  bytesIn: number
  /** Of the body, that were sent. */
  bytesOut: number
  /** 0 until it is answered, and for ever if the connection was cut instead. */
  status: number
}

export class Ledger {
  readonly requests: RequestRecord[] = []
  readonly violations: string[] = []

  violation(request: Pick<RequestRecord, 'method' | 'path'>, problem: string): void {
    this.violations.push(`${request.method} ${request.path}: ${problem}`)
  }

  counts(): Partial<Record<RequestKind, number>> {
    const counts: Partial<Record<RequestKind, number>> = {}
    for (const { kind } of this.requests) counts[kind] = (counts[kind] ?? 0) + 1
    return counts
  }
}
