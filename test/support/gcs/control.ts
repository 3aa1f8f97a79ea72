/**
 * The emulator's own routes, for tests and measurements that run it as a process of its own.
 *
 *     GET  /_emulator/ledger      { requests, counts, violations }
 *     GET  /_emulator/objects     [{ name, size, … }]
 *     POST /_emulator/fail        { "status": 503, "times": 2, "kind": "upload", "key": "blobs/" }
 *
 * and so on for each of the commands below; `kind`, `method` and `key` (a part of the name) say which
 * requests a fault is for.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import type { GcsEmulator, Match, RequestKind } from './emulator.ts'

export const controlPath = '/_emulator/'

interface Arguments {
  readonly status?: number
  readonly times?: number
  readonly milliseconds?: number
  readonly afterBytes?: number
  readonly publicRead?: boolean
  readonly requireAuthorization?: boolean
  readonly pageSize?: number
  readonly kind?: RequestKind
  readonly method?: string
  readonly key?: string
  readonly name?: string
  readonly content?: string
}

type Command = (emulator: GcsEmulator, given: Arguments) => void

const commands: Readonly<Record<string, Command>> = {
  fail: (emulator, given) => emulator.fail(given.status ?? 503, given.times, match(given)),
  delay: (emulator, given) => emulator.delay(given.milliseconds ?? 0, given.times, match(given)),
  'cut-uploads': (emulator, given) => emulator.cutUploads(cut(given)),
  'cut-downloads': (emulator, given) => emulator.cutDownloads(cut(given)),
  'corrupt-uploads': (emulator, given) => emulator.corruptUploads(given.times, match(given)),
  'corrupt-downloads': (emulator, given) => emulator.corruptDownloads(given.times, match(given)),
  'lose-answers': (emulator, given) => emulator.loseAnswers(given.times, match(given)),
  'forget-sessions': (emulator, given) => emulator.forgetSessions(given.status === 404 ? 404 : 410),
  'clear-faults': (emulator) => emulator.clearFaults(),
  'reset-ledger': (emulator) => emulator.resetLedger(),
  'clear-violations': (emulator) => emulator.clearViolations(),
  clock: (emulator, given) => {
    emulator.clock = given.milliseconds ?? 0
  },
  settings: ({ settings }, given) => {
    settings.publicRead = given.publicRead ?? settings.publicRead
    settings.requireAuthorization = given.requireAuthorization ?? settings.requireAuthorization
    settings.pageSize = given.pageSize ?? settings.pageSize
  },
  'write-object': (emulator, given) =>
    emulator.writeObject(given.name ?? '', Buffer.from(given.content ?? '', 'base64')),
  'delete-object': (emulator, given) => emulator.deleteObject(given.name ?? ''),
}

const views: Readonly<Record<string, (emulator: GcsEmulator) => unknown>> = {
  ledger: (emulator) => ({
    counts: emulator.counts(),
    violations: emulator.violations,
    requests: emulator.requests,
  }),
  objects: (emulator) => emulator.objects(),
}

export async function control(
  emulator: GcsEmulator,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const name = (request.url ?? '').slice(controlPath.length)
  const view = request.method === 'GET' ? views[name] : undefined
  const command = request.method === 'POST' ? commands[name] : undefined
  try {
    if (command) command(emulator, await given(request))
    const result = view ? view(emulator) : command ? {} : undefined
    response.statusCode = result === undefined ? 404 : 200
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify(result ?? { commands: [...Object.keys(commands)] }))
  } catch (error) {
    response.writeHead(400).end(String(error))
  }
}

async function given(request: IncomingMessage): Promise<Arguments> {
  return request.headers['content-length'] === '0' ? {} : ((await json(request)) as Arguments)
}

function match({ kind, method, key }: Arguments): Match {
  return (request) =>
    (kind === undefined || request.kind === kind) &&
    (method === undefined || request.method === method) &&
    (key === undefined || (request.key?.includes(key) ?? false))
}

function cut(given: Arguments): { afterBytes: number; times: number; match: Match } {
  return { afterBytes: given.afterBytes ?? 0, times: given.times ?? 1, match: match(given) }
}
