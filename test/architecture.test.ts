/**
 * Which room may import which:
 *
 *     main ──► compose ──► http ──► feature rooms' ports ──► pure rooms
 *                 │  └───► feature rooms ──► ports of other rooms, pure rooms
 *                 └──────► adapters ──► ports, pure rooms
 *
 * A room is a folder of `service/`. A pure room computes: it does no I/O and knows no other kind of room. A
 * feature room imports only the `ports.ts` of other features.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const service = resolve(import.meta.dirname, '../service')

const pureRooms = ['image', 'closure', 'text', 'concurrency', 'telemetry']
const featureRooms = ['layering', 'source', 'build', 'prebuild', 'storage', 'queue']
/** Rooms that are neither; each has a rule of its own. */
const otherRooms = ['config', 'compose', 'http', 'adapters']

/** Files of feature rooms that only compute. Other rooms may import them like a pure room. */
const pureFiles = [
  // The planner and its knowledge of images.
  'layering/change-history.ts',
  'layering/change-risk.ts',
  'layering/knowledge-document.ts',
  'layering/known-images.ts',
  'layering/layer-knowledge.ts',
  'layering/layer-order.ts',
  'layering/merge-groups.ts',
  'layering/path-expectations.ts',
  'layering/path-group.ts',
  'layering/path-identity.ts',
  'layering/path-statistics.ts',
  'layering/plan-layers.ts',
  'layering/popularity.ts',
  // Grammars that adapters check, too.
  'source/nixpkgs-commit-id.ts',
  'storage/storage-key.ts',
  'storage/read-object.ts',
]

/** Modules of Node that a pure file may import: hashing, and types of streams. */
const purePlatform = /^node:(crypto|stream)$/
/** Modules of Node that a feature room may import: it does no I/O of its own. */
const featurePlatform = /^node:(crypto|stream|timers\/promises)$/

const files = readdirSync(service, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)

/** Imports of a file: `image/errors.ts` for the service's own, else as written: `koa`, `node:fs`. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(service, file), 'utf8')
  const found = text.matchAll(
    /^(?:import|export|\})[^'\n]*from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm,
  )
  return [...found].map(([, from, dynamic, bare]) => {
    const specifier = from ?? dynamic ?? bare ?? ''
    return specifier.startsWith('.')
      ? relative(service, resolve(service, dirname(file), specifier))
      : specifier
  })
}

const roomOf = (file: string) => file.split('/', 1).join()
const isOwn = (imported: string) => files.includes(imported)
const isPlatform = (imported: string) => imported.startsWith('node:')
const isPure = (file: string) => pureRooms.includes(roomOf(file)) || pureFiles.includes(file)
const isPorts = (file: string) => /^[a-z]+\/ports\.ts$/.test(file)

/** Returns `file imports imported` for each import that the rule does not allow. */
function violations(own: readonly string[], allows: (imported: string, file: string) => boolean) {
  expect(own.length).toBeGreaterThan(0)
  return own.flatMap((file) =>
    importsOf(file)
      .filter((imported) => !allows(imported, file))
      .map((imported) => `${file} imports ${imported}`),
  )
}

/** Returns each circle of imports as `a → b → a`. */
function circlesOf(
  all: readonly string[],
  importedBy: (one: string) => readonly string[],
): string[] {
  const circles: string[] = []
  const done = new Set<string>()
  const visit = (one: string, path: readonly string[]): void => {
    const start = path.indexOf(one)
    if (start >= 0) circles.push([...path.slice(start), one].join(' → '))
    if (start >= 0 || done.has(one)) return
    for (const imported of importedBy(one)) visit(imported, [...path, one])
    done.add(one)
  }
  for (const one of all) visit(one, [])
  return circles
}

const filesOf = (room: string) => files.filter((file) => roomOf(file) === room)

test('every file stands in a known room', () => {
  const known = new Set([...pureRooms, ...featureRooms, ...otherRooms, 'main.ts'])
  expect(files.filter((file) => !known.has(roomOf(file)))).toEqual([])
})

describe('a pure room imports pure rooms', () => {
  test.each(pureRooms)('%s', (room) => {
    const allows = (imported: string) =>
      isOwn(imported) ? isPure(imported) : !isPlatform(imported) || purePlatform.test(imported)
    expect(violations(filesOf(room), allows)).toEqual([])
  })

  test.each(pureFiles)('%s', (file) => {
    const allows = (imported: string) =>
      isOwn(imported) ? isPure(imported) : !isPlatform(imported) || purePlatform.test(imported)
    expect(violations([file], allows)).toEqual([])
  })
})

describe("a feature room imports pure rooms and other rooms' ports", () => {
  test.each(featureRooms)('%s', (room) => {
    const allows = (imported: string) => {
      if (!isOwn(imported)) return !isPlatform(imported) || featurePlatform.test(imported)
      return roomOf(imported) === room || isPure(imported) || isPorts(imported)
    }
    expect(violations(filesOf(room), allows)).toEqual([])
  })
})

test('http imports pure rooms and ports, and no adapter', () => {
  const allows = (imported: string) =>
    !isOwn(imported) || roomOf(imported) === 'http' || isPure(imported) || isPorts(imported)
  expect(violations(filesOf('http'), allows)).toEqual([])
})

test('adapters import adapters, pure rooms and ports', () => {
  const allows = (imported: string) =>
    !isOwn(imported) || roomOf(imported) === 'adapters' || isPure(imported) || isPorts(imported)
  expect(violations(filesOf('adapters'), allows)).toEqual([])
})

test('ports import pure rooms and ports', () => {
  const allows = (imported: string) => !isOwn(imported) || isPure(imported) || isPorts(imported)
  expect(violations(files.filter(isPorts), allows)).toEqual([])
})

test('telemetry imports only telemetry', () => {
  const allows = (imported: string) => roomOf(imported) === 'telemetry'
  expect(violations(filesOf('telemetry'), allows)).toEqual([])
})

test('config imports pure files and the grammars of settings', () => {
  const grammars = ['source/channel-name.ts', 'source/repository-url.ts']
  const allows = (imported: string) =>
    !isOwn(imported) ||
    roomOf(imported) === 'config' ||
    isPure(imported) ||
    isPorts(imported) ||
    grammars.includes(imported)
  expect(violations(filesOf('config'), allows)).toEqual([])
})

test('only compose imports adapters', () => {
  const importers = files.filter(
    (file) =>
      roomOf(file) !== 'adapters' &&
      importsOf(file).some((imported) => roomOf(imported) === 'adapters' && isOwn(imported)),
  )
  expect(importers.filter((file) => roomOf(file) !== 'compose')).toEqual([])
})

test('only main.ts imports compose', () => {
  const importers = files.filter((file) =>
    importsOf(file).some((imported) => roomOf(imported) === 'compose' && isOwn(imported)),
  )
  expect(importers.filter((file) => file !== 'main.ts' && roomOf(file) !== 'compose')).toEqual([])
})

test('no two feature rooms import each other, however many are between them', () => {
  const importedBy = (room: string) =>
    filesOf(room)
      .flatMap(importsOf)
      .filter(isOwn)
      .map(roomOf)
      .filter((other) => other !== room && featureRooms.includes(other))
  expect(circlesOf(featureRooms, importedBy)).toEqual([])
})

test('no two files import each other, however many are between them', () => {
  expect(circlesOf(files, (file) => importsOf(file).filter(isOwn))).toEqual([])
})

test('ports.ts declares interfaces and no code', () => {
  const withCode = files.filter(isPorts).filter((file) => {
    return /^export (async )?(function|const|class|let)\b/m.test(
      readFileSync(join(service, file), 'utf8'),
    )
  })
  expect(withCode).toEqual([])
})

test('only main.ts ends the process', () => {
  const enders = files.filter((file) =>
    readFileSync(join(service, file), 'utf8').includes('process.exit'),
  )
  expect(enders).toEqual(['main.ts'])
})
