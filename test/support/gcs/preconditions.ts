/**
 * Conditions that a request sets on the object it is about.
 * @see https://cloud.google.com/storage/docs/request-preconditions
 */
import { conditionNotMet, invalid, notModified } from './service-error.ts'
import type { StoredObject } from './stored-object.ts'

export interface Preconditions {
  /** 0: there must be no object. */
  readonly generationMatch: number | undefined
  readonly generationNotMatch: number | undefined
  readonly metagenerationMatch: number | undefined
  readonly metagenerationNotMatch: number | undefined
}

/**
 * @param prefix `if` for the object that is written or read, `ifSource` for the one that is copied
 * @throws {ServiceError} 400 for what is not a number
 */
export function parsePreconditions(query: URLSearchParams, prefix = 'if'): Preconditions {
  return {
    generationMatch: integer(query, `${prefix}GenerationMatch`),
    generationNotMatch: integer(query, `${prefix}GenerationNotMatch`),
    metagenerationMatch: integer(query, `${prefix}MetagenerationMatch`),
    metagenerationNotMatch: integer(query, `${prefix}MetagenerationNotMatch`),
  }
}

/** @throws {ServiceError} 400 for what is not a number */
export function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (!/^\d{1,16}$/.test(text)) throw invalid(`Invalid value for ${name}: '${text}'`)
  return Number(text)
}

/**
 * @param reading a reader who has the same generation is told so; a writer has failed
 * @throws {ServiceError} 412, or 304 where a reader asked for anything newer
 */
export function check(
  conditions: Preconditions,
  object: StoredObject | undefined,
  reading = false,
): void {
  const { generationMatch, generationNotMatch } = conditions
  const { metagenerationMatch, metagenerationNotMatch } = conditions
  const generation = object?.generation ?? 0
  const metageneration = object?.metageneration
  if (generationMatch !== undefined && generationMatch !== generation) throw conditionNotMet()
  if (metagenerationMatch !== undefined && metagenerationMatch !== metageneration) {
    throw conditionNotMet()
  }
  const same =
    generationNotMatch === generation ||
    (metagenerationNotMatch !== undefined && metagenerationNotMatch === metageneration)
  if (same) throw reading ? notModified() : conditionNotMet()
}
