/**
 * What the service says when it refuses: one value, written as JSON, XML or text by the API that was called.
 * @see https://cloud.google.com/storage/docs/json_api/v1/status-codes
 * @see https://cloud.google.com/storage/docs/xml-api/reference-status
 */
export interface ErrorFields {
  readonly status: number
  readonly message: string
  /** The JSON API's word for it, as `notFound`. */
  readonly reason: string
  /** The XML API's, as `NoSuchKey`. */
  readonly code: string
  /** What the JSON API adds of where the fault lies: a header's name. */
  readonly header?: string
  /** Further elements of the XML answer. */
  readonly details?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

export class ServiceError extends Error {
  readonly fields: ErrorFields

  constructor(fields: ErrorFields) {
    super(fields.message)
    this.fields = fields
  }

  toJson(): string {
    const { status: code, message, reason, header } = this.fields
    const location = header && { locationType: 'header', location: header }
    return JSON.stringify({
      error: { code, message, errors: [{ message, domain: 'global', reason, ...location }] },
    })
  }

  toXml(): string {
    const { code, message, details = {} } = this.fields
    const elements = Object.entries({ Code: code, Message: message, ...details })
    const inner = elements.map(([name, text]) => `<${name}>${escaped(text)}</${name}>`)
    return `<?xml version='1.0' encoding='UTF-8'?><Error>${inner.join('')}</Error>`
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

export function noSuchBucket(): ServiceError {
  const message = 'The specified bucket does not exist.'
  return new ServiceError({ status: 404, message, reason: 'notFound', code: 'NoSuchBucket' })
}

export function noSuchObject(bucket: string, key: string): ServiceError {
  return new ServiceError({
    status: 404,
    message: `No such object: ${bucket}/${key}`,
    reason: 'notFound',
    code: 'NoSuchKey',
    details: { Details: `No such object: ${bucket}/${key}` },
  })
}

export function noSuchRoute(): ServiceError {
  return new ServiceError({
    status: 404,
    message: 'Not Found',
    reason: 'notFound',
    code: 'InvalidURI',
  })
}

export function conditionNotMet(): ServiceError {
  return new ServiceError({
    status: 412,
    message: 'At least one of the pre-conditions you specified did not hold.',
    reason: 'conditionNotMet',
    code: 'PreconditionFailed',
    header: 'If-Match',
  })
}

export function notModified(): ServiceError {
  const message = 'Not Modified'
  return new ServiceError({ status: 304, message, reason: 'notModified', code: 'NotModified' })
}

export function invalid(message: string): ServiceError {
  return new ServiceError({ status: 400, message, reason: 'invalid', code: 'InvalidArgument' })
}

export function required(name: string): ServiceError {
  const message = `Required parameter: ${name}`
  return new ServiceError({ status: 400, message, reason: 'required', code: 'InvalidArgument' })
}

export function notEmulated(what: string): ServiceError {
  const message = `The emulator does not know ${what}.`
  return new ServiceError({
    status: 501,
    message,
    reason: 'notImplemented',
    code: 'NotImplemented',
  })
}

export function forbidden(who: string, permission: string): ServiceError {
  const details = `${who} does not have ${permission} access to the Google Cloud Storage object. Permission '${permission}' denied on resource (or it may not exist).`
  return new ServiceError({
    status: 403,
    message: details,
    reason: 'forbidden',
    code: 'AccessDenied',
    details: { Details: details },
  })
}

export function invalidCredentials(): ServiceError {
  return new ServiceError({
    status: 401,
    message: 'Invalid Credentials',
    reason: 'authError',
    code: 'AuthenticationRequired',
    header: 'Authorization',
    headers: { 'WWW-Authenticate': 'Bearer realm="https://accounts.google.com/"' },
  })
}

/** @param size of the object in bytes */
export function rangeNotSatisfiable(size: number): ServiceError {
  return new ServiceError({
    status: 416,
    message: 'Request range not satisfiable',
    reason: 'requestedRangeNotSatisfiable',
    code: 'InvalidRange',
    headers: { 'Content-Range': `bytes */${size}` },
  })
}

/** What a status means that the service gives for reasons of its own. */
export function failure(status: number): ServiceError {
  const reason =
    { 401: 'authError', 403: 'forbidden', 404: 'notFound', 429: 'rateLimitExceeded' }[status] ??
    (status < 500 ? 'invalid' : 'backendError')
  const message = 'We encountered an internal error. Please try again.'
  return new ServiceError({ status, message, reason, code: 'InternalError' })
}
