/** Resumable uploads that are under way. */
import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import type { Checksums, Tally } from './checksums.ts'
import type { Preconditions } from './preconditions.ts'
import { ServiceError } from './service-error.ts'
import type { ObjectFields, StoredObject } from './stored-object.ts'

/** What is known when a session begins. */
export interface Intent {
  readonly key: string
  readonly fields: ObjectFields
  /** Checksums that the client promises. */
  readonly sent: Checksums
  readonly conditions: Preconditions
  /** Bytes of the whole object, if the client said so. */
  readonly total: number | undefined
  readonly file: string
  readonly tally: Tally | undefined
}

export class Session {
  readonly id = randomBytes(24).toString('base64url')
  readonly key: string
  readonly fields: ObjectFields
  readonly sent: Checksums
  readonly conditions: Preconditions
  readonly file: string
  total: number | undefined
  /** Bytes from the beginning that the service will not ask for again. */
  persisted = 0
  /** Of exactly the persisted bytes, or nothing if bytes were added that did not stay. */
  tally: Tally | undefined
  /** A fault has changed what arrived. */
  damaged = false
  /** What came of it, once all is there. */
  object: StoredObject | undefined
  /** Status of every further request. */
  over: number | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(intent: Intent) {
    this.key = intent.key
    this.fields = intent.fields
    this.sent = intent.sent
    this.conditions = intent.conditions
    this.total = intent.total
    this.file = intent.file
    this.tally = intent.tally
    writeFileSync(this.file, '')
  }

  /**
   * One request at a time: a client whose connection broke asks how much has arrived while the last
   * bytes are still being written.
   */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }

  /** @param status 410 or 404 as the service says it of expired ones, 499 of cancelled ones */
  end(status: number): void {
    this.over = status
    if (!this.object) rmSync(this.file, { force: true })
  }
}

export class Sessions {
  readonly #sessions = new Map<string, Session>()

  start(intent: Intent): Session {
    const session = new Session(intent)
    this.#sessions.set(session.id, session)
    return session
  }

  /** @throws {ServiceError} 404 for one that never was, else the status it ended with */
  get(id: string | null): Session {
    const session = this.#sessions.get(id ?? '')
    const status = session ? session.over : 404
    if (!session || status !== undefined) throw sessionOver(status ?? 404)
    return session
  }

  /** @param status 410 or 404: the service uses both, and clients must then start again */
  forget(status: 404 | 410): void {
    for (const session of this.#sessions.values()) session.end(status)
  }
}

function sessionOver(status: number): ServiceError {
  const message = status === 499 ? 'The upload was cancelled.' : 'The upload session has ended.'
  const reason = status === 404 ? 'notFound' : 'gone'
  return new ServiceError({ status, message, reason, code: 'NoSuchUpload' })
}
