/** Tells the person who pulls what Nix could not build, and why. */

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { BuilderLimit } from '../../build/ports.ts'
import { type StorePath, storePathName } from '../../closure/closure.ts'
import type { EvaluatedPackage } from '../../closure/package.ts'
import { Failure } from '../../image/errors.ts'
import type { BuildLog, FailedBuild } from './build-log.ts'
import { nixError } from './messages.ts'

/** Runs a Nix program that only reads. @returns its stdout */
export type ReadNix = (program: string, args: string[]) => Promise<string>

const unmetOld =
  /a '(?<system>[^']+)' with features \{(?<features>[^}]*)\} is required to build '(?<derivation>[^'!^]+)/
const unmetNew =
  /Cannot build '(?<derivation>[^'!^]+).*?required system or feature not available.*?Required system: '(?<system>[^']+)' with features \{(?<features>[^}]*)\}/s

const nixSettings = z.record(z.string(), z.object({ value: z.unknown() }))

/**
 * The failure, told of the package that needs the derivation which failed.
 * @returns Failure build-failed or build-timed-out
 */
export async function buildFailure(
  packages: readonly EvaluatedPackage[],
  log: BuildLog,
  { seconds, setting }: BuilderLimit,
  read: ReadNix,
): Promise<Failure> {
  const [failed, owner] = (await firstOwned(packages, log, read)) ?? []
  if (failed === undefined || owner === undefined) {
    const names = packages.map(({ name }) => name).join(', ')
    return (
      (await foreignFailure(packages, log, read)) ??
      new Failure('build-failed', `${names}: ${nixError(log.errors.join('\n'))}`)
    )
  }
  const { name, derivation } = owner
  const inside = storePathName(failed.derivation).replace(/\.drv$/, '')
  const subject = `package ${name}${derivation === failed.derivation ? '' : ` (building ${inside})`}`
  const printed =
    failed.lines.length === 0 ? '' : `; the end of its log:\n${failed.lines.join('\n')}`
  const detail = { package: name, derivation: failed.derivation, log: failed.lines }
  if (failed.timedOut) {
    const limit = `the builder ran past ${seconds} seconds, the limit that ${setting} sets`
    return new Failure('build-timed-out', `${subject}: ${limit}${printed}`, { detail })
  }
  return new Failure('build-failed', `${subject}: the builder ${failed.reason}${printed}`, {
    detail,
  })
}

/** The first failure that any of the packages needs: a log may tell of other images' too. */
async function firstOwned(
  packages: readonly EvaluatedPackage[],
  { failures }: BuildLog,
  read: ReadNix,
): Promise<[FailedBuild, Owner] | undefined> {
  for (const failed of failures) {
    const owner = await ownerOf(failed.derivation, packages, read)
    if (owner !== undefined) return [failed, owner]
  }
  return undefined
}

/** The failure to build for a system, or with features, for which there is no builder. */
async function foreignFailure(
  packages: readonly EvaluatedPackage[],
  log: BuildLog,
  read: ReadNix,
): Promise<Failure | undefined> {
  const wanted = unmetRequirement(log.errors.join('\n'))
  const owner = wanted && (await ownerOf(wanted.derivation, packages, read))
  if (wanted === undefined || owner === undefined) return undefined
  const { derivation, system, features } = wanted
  const { name } = owner
  const setting = await readSettings(read)
  const local = `${setting('system')} ${setting('extra-platforms')}`.trim().split(/\s+/)
  const builders = `its remote builders are: ${await remoteBuilders(setting)}`
  const detail = { package: name, derivation, system, features }
  const message = local.includes(system)
    ? `package ${name} needs a builder with the features ${features.join(', ')}: this machine has ` +
      `${setting('system-features') || 'none'} (system-features), and ${builders}`
    : `package ${name} is built on ${system}, and nothing here builds for that: this machine builds for ` +
      `${local.join(' ')}, and ${builders}. Add one (builders) or emulation (extra-platforms) for ` +
      `${system} to Nix's configuration`
  return new Failure('build-failed', message, { detail })
}

interface Requirement {
  readonly derivation: StorePath
  readonly system: string
  readonly features: readonly string[]
}

/** What Nix says that it has no builder for, in the words of its older and its newer versions. */
function unmetRequirement(text: string): Requirement | undefined {
  const {
    derivation,
    system,
    features = '',
  } = (unmetOld.exec(text) ?? unmetNew.exec(text))?.groups ?? {}
  if (derivation === undefined || system === undefined) return undefined
  return { derivation, system, features: features.split(/[,\s]+/).filter((one) => one !== '') }
}

/** How many there are and for which systems; of hosts, key files and the rest nothing is told. */
async function remoteBuilders(setting: (name: string) => string): Promise<string> {
  const builders = setting('builders')
  const [, file] = /^@(.+)$/.exec(builders) ?? []
  const lines = file === undefined ? builders : await readFile(file, 'utf8').catch(() => '')
  const systems = lines
    .split(/[\n;]/)
    .map((line) => line.trim().split(/\s+/))
    .filter(([host = '']) => host !== '' && !host.startsWith('#'))
    .map(([, own = '-']) => (own === '-' ? setting('system') : own))
  if (systems.length === 0) return 'none'
  const different = [...new Set(systems.join(',').split(','))].sort()
  return `${systems.length}, for ${different.join(', ')}`
}

interface Owner {
  readonly name: string
  readonly derivation: StorePath
}

/** The package that needs a derivation; undefined if none of them does. */
async function ownerOf(
  wanted: StorePath,
  packages: readonly EvaluatedPackage[],
  read: ReadNix,
): Promise<Owner | undefined> {
  const own = packages.find(({ derivation }) => derivation === wanted)
  if (own !== undefined) return own
  for (const candidate of packages) {
    const needed = await read('nix-store', ['--query', '--requisites', candidate.derivation])
    if (needed.split('\n').includes(wanted)) return candidate
  }
  return undefined
}

/** Nix's settings as text, empty where one is not set. */
async function readSettings(read: ReadNix): Promise<(name: string) => string> {
  const flags = ['--extra-experimental-features', 'nix-command', '--json']
  // The command was renamed in Nix 2.20.
  const text = await read('nix', ['show-config', ...flags]).catch(() =>
    read('nix', ['config', 'show', ...flags]),
  )
  const settings = nixSettings.parse(JSON.parse(text))
  return (name) => [settings[name]?.value ?? ''].flat().join(' ')
}
