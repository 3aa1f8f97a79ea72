/** Ranges of bytes: those of a download and those of a resumable upload. */

/** Both ends included. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

/**
 * @param header `Range` of a request
 * @param size of the object, bytes
 * @returns nothing to send all of it (which is also what the service does with what it does not
 *   understand), `unsatisfiable` for a range that begins behind the end
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-range
 */
export function parseRange(
  header: string | undefined,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if (from === '' && to === '') return undefined
  if (from === '') {
    const length = Math.min(Number(to), size)
    return length === 0 ? 'unsatisfiable' : { first: size - length, last: size - 1 }
  }
  const first = Number(from)
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1)
  if (to !== '' && Number(to) < first) return undefined
  return first >= size ? 'unsatisfiable' : { first, last }
}

export interface UploadRange {
  /** Missing in a question for what has arrived. */
  readonly first?: number
  /** Missing if the sender does not know it yet (`0-*`). */
  readonly last?: number
  /** Bytes of the whole object, if the sender knows. */
  readonly total?: number
}

/**
 * @param header `Content-Range` of a request to a session: `bytes FIRST-LAST/TOTAL`, where LAST, TOTAL
 *   or all of FIRST-LAST may be a star
 * @returns nothing for anything else
 * @see https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload
 */
export function parseUploadRange(header: string): UploadRange | undefined {
  const parts = /^bytes (?:\*|(\d+)-(\d+|\*))\/(\d+|\*)$/.exec(header)
  if (!parts) return undefined
  const [first, last, total] = parts.slice(1).map(number)
  return {
    ...(first !== undefined && { first }),
    ...(last !== undefined && { last }),
    ...(total !== undefined && { total }),
  }
}

function number(text: string | undefined): number | undefined {
  return text === undefined || text === '*' ? undefined : Number(text)
}
