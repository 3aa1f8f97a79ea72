/** Source whose tags a test declares. */

import { Failure } from '../../service/image/errors.ts'
import type { Revision, Source, SourceStatus } from '../../service/source/ports.ts'

export class FakeSource implements Source {
  /** Tag → commit. */
  readonly refs: Map<string, string>
  /** Ids of the exported revisions, in order. */
  readonly exports: string[] = []
  #version = { refs: '' }
  currentStatus: SourceStatus = { ready: true, refreshedAt: '2024-01-01T00:00:00.000Z' }

  constructor(refs: Record<string, string>) {
    this.refs = new Map(Object.entries(refs))
  }

  async resolve(tag: string): Promise<Revision> {
    const id = this.refs.get(tag)
    if (id === undefined) throw new Failure('manifest-unknown', `there is no tag "${tag}"`)
    return { id, ref: `refs/tags/${tag}` }
  }

  /** Returns another object after a test has changed `refs`. */
  get version(): object {
    const refs = JSON.stringify([...this.refs])
    if (refs !== this.#version.refs) this.#version = { refs }
    return this.#version
  }

  tags(): readonly string[] {
    return [...this.refs.keys()].sort()
  }

  async export(revision: Revision): Promise<void> {
    this.exports.push(revision.id)
  }

  status(): SourceStatus {
    return this.currentStatus
  }
}
