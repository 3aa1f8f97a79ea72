/**
 * Which of the service's operations a request is, from its head.
 * @see https://cloud.google.com/storage/docs/request-endpoints
 */
import type { IncomingMessage } from 'node:http'
import type { RequestKind } from './ledger.ts'

export interface Route {
  readonly kind: RequestKind
  /** How errors are written: a download by the JSON API says them as text. */
  readonly api: 'json' | 'xml' | 'media'
  readonly bucket?: string
  /** Name of the object. */
  readonly key?: string
  /** Of a copy. */
  readonly targetBucket?: string
  readonly targetKey?: string
}

const bucket = '/storage/v1/b/(?<bucket>[^/]+)'
// Names of objects are encoded whole in this API, a slash as %2F.
const object = `${bucket}/o/(?<key>[^/]+)`
const target = 'b/(?<targetBucket>[^/]+)/o/(?<targetKey>[^/]+)'
const account = '/v1/projects/-/serviceAccounts/[^/]+'

/** The first row that fits counts. */
const rows: readonly (readonly [methods: RegExp, path: RegExp, kind: RequestKind])[] = [
  [/^GET$/, path(bucket), 'bucket'],
  [/^GET$/, path(`${bucket}/iam/testPermissions`), 'permissions'],
  [/^GET$/, path(`${bucket}/o`), 'list'],
  [/^(GET|HEAD)$/, path(object), 'metadata'],
  [/^PATCH$/, path(object), 'patch'],
  [/^DELETE$/, path(object), 'delete'],
  [/^POST$/, path(`${object}/rewriteTo/${target}`), 'copy'],
  [/^(POST|PUT)$/, path(`/upload${bucket}/o`), 'upload'],
  [/^DELETE$/, path(`/upload${bucket}/o`), 'upload-cancel'],
  [/^POST$/, path('/token'), 'token'],
  [/^POST$/, path('/sts/v1/token'), 'token'],
  [/^POST$/, path(`${account}:generateAccessToken`), 'token'],
  [/^POST$/, path(`${account}:signBlob`), 'sign'],
  [/^GET$/, path('/subject-token'), 'identity'],
  [/^GET$/, path('/computeMetadata/v1/.*'), 'identity'],
  // Anything else below the other APIs' folders is a mistake, not an object.
  [/./, path('/(storage|upload|v1|computeMetadata)/.*'), 'unknown'],
  // The XML API: slashes of the object's name as they are.
  [/^GET$/, path('/(?<bucket>[^/]+)/(?<key>.+)'), 'public-get'],
  [/^HEAD$/, path('/(?<bucket>[^/]+)/(?<key>.+)'), 'public-head'],
]

function path(pattern: string): RegExp {
  return new RegExp(`^${pattern}$`)
}

export function routeOf(request: IncomingMessage): Route {
  const { method = '', url = '' } = request
  const [path = '', query] = url.split('?', 2)
  const row = rows.find(([methods, paths]) => methods.test(method) && paths.test(path))
  if (!row) return { kind: 'unknown', api: 'json' }
  const [, paths, kind] = row
  const names = Object.entries(paths.exec(path)?.groups ?? {})
  const parameters = new URLSearchParams(query)
  try {
    const found = Object.fromEntries(names.map(([name, text]) => [name, decodeURIComponent(text)]))
    return { ...refined(kind, request, parameters), ...found }
  } catch {
    // An escape that is not UTF-8.
    return { kind: 'unknown', api: 'json' }
  }
}

/** What the path does not tell, the query and the headers do. */
function refined(
  kind: RequestKind,
  { method, headers }: IncomingMessage,
  parameters: URLSearchParams,
): Route {
  const signed = parameters.has('X-Goog-Signature')
  switch (kind) {
    case 'metadata':
      return parameters.get('alt') === 'media'
        ? { kind: 'download', api: 'media' }
        : { kind, api: 'json' }
    case 'upload': {
      const name = parameters.get('name')
      const key = name === null ? {} : { key: name }
      if (method === 'POST' && parameters.get('uploadType') === 'resumable') {
        return { kind: 'upload-start', api: 'json', ...key }
      }
      const asks = method === 'PUT' && headers['content-range']?.startsWith('bytes */')
      return { kind: asks ? 'upload-status' : 'upload', api: 'json', ...key }
    }
    case 'public-get':
      return { kind: signed ? 'signed-get' : kind, api: 'xml' }
    case 'public-head':
      return { kind: signed ? 'signed-head' : kind, api: 'xml' }
    default:
      return { kind, api: 'json' }
  }
}
