/**
 * Which query parameters an operation knows. The service ignores others, and a condition that is
 * misspelt is then not met but missing.
 * @see https://cloud.google.com/storage/docs/json_api/v1/parameters
 */
import type { RequestKind } from './ledger.ts'

const everywhere = ['alt', 'fields', 'key', 'prettyPrint', 'quotaUser', 'userProject']
const conditions = [
  'ifGenerationMatch',
  'ifGenerationNotMatch',
  'ifMetagenerationMatch',
  'ifMetagenerationNotMatch',
]
const one = ['generation', 'projection', ...conditions]
const upload = [
  'uploadType',
  'name',
  'upload_id',
  'contentEncoding',
  'kmsKeyName',
  'predefinedAcl',
  'projection',
  ...conditions,
]

const known: Partial<Record<RequestKind, readonly string[]>> = {
  bucket: ['projection', ...conditions],
  permissions: ['permissions'],
  list: [
    'delimiter',
    'endOffset',
    'filter',
    'includeFoldersAsPrefixes',
    'includeTrailingDelimiter',
    'matchGlob',
    'maxResults',
    'pageToken',
    'prefix',
    'projection',
    'softDeleted',
    'startOffset',
    'versions',
  ],
  metadata: one,
  download: one,
  patch: [...one, 'predefinedAcl'],
  delete: one,
  copy: [
    'destinationKmsKeyName',
    'destinationPredefinedAcl',
    'maxBytesRewrittenPerCall',
    'projection',
    'rewriteToken',
    'sourceGeneration',
    ...conditions,
    ...conditions.map((name) => name.replace(/^if/, 'ifSource')),
  ],
  upload,
  'upload-start': upload,
  'upload-status': upload,
  'upload-cancel': upload,
}

/** @returns those that mean nothing to the JSON API; all are known elsewhere */
export function unknownParameters(kind: RequestKind, query: URLSearchParams): string[] {
  const names = known[kind]
  if (!names) return []
  return [...query.keys()].filter((name) => !names.includes(name) && !everywhere.includes(name))
}
