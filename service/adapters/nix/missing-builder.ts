/** Describes a derivation that Nix cannot build because no builder has its system or its features. */

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { StorePath } from '../../closure/closure.ts'
import { compareCodeUnits } from '../../text/order.ts'
import { quotedDerivation } from './messages.ts'
import type { RunNix } from './run-nix.ts'

export interface Requirement {
  readonly derivation: StorePath
  readonly system: string
  readonly features: readonly string[]
}

/** The message of Nix 2.8, and that of newer versions. */
const messages = [
  `a '(?<system>[^']+)' with features \\{(?<features>[^}]*)\\} is required to build ${quotedDerivation}`,
  `Cannot build ${quotedDerivation}.*?required system or feature not available` +
    `.*?Required system: '(?<system>[^']+)' with features \\{(?<features>[^}]*)\\}`,
].map((source) => new RegExp(source, 's'))

/** Finds the derivation without a builder in the errors of Nix, and what it requires. */
export function unmetRequirement(errors: string): Requirement | undefined {
  for (const message of messages) {
    const { derivation, system, features = '' } = message.exec(errors)?.groups ?? {}
    if (derivation === undefined || system === undefined) continue
    return { derivation, system, features: features.split(/[,\s]+/).filter((one) => one !== '') }
  }
  return undefined
}

/** Returns a message: what the package requires, which builders there are, and which setting of Nix to change. */
export async function describeMissingBuilder(
  name: string,
  { system, features }: Requirement,
  runNix: RunNix,
): Promise<string> {
  const setting = await readSettings(runNix)
  const local = `${setting('system')} ${setting('extra-platforms')}`.trim().split(/\s+/)
  const remote = `its remote builders are: ${await describeRemoteBuilders(setting)}`
  if (local.includes(system)) {
    return (
      `package ${name} needs a builder with the features ${features.join(', ')}: this machine has ` +
      `${setting('system-features') || 'none'}, and ${remote}. Add the features (system-features), or a ` +
      "builder that has them (builders), to Nix's configuration"
    )
  }
  return (
    `package ${name} is built on ${system}, and no builder is for that system: this machine builds for ` +
    `${local.join(' ')}, and ${remote}. Add a builder (builders) or emulation (extra-platforms) for ` +
    `${system} to Nix's configuration`
  )
}

/** Returns the number of remote builders and their systems, but no host name and no key file. */
async function describeRemoteBuilders(setting: (name: string) => string): Promise<string> {
  const builders = setting('builders')
  const [, file] = /^@(.+)$/.exec(builders) ?? []
  const lines = file === undefined ? builders : await readFile(file, 'utf8').catch(() => '')
  const systems = lines
    .split(/[\n;]/)
    .map((line) => line.trim().split(/\s+/))
    .filter(([host = '']) => host !== '' && !host.startsWith('#'))
    .map(([, own = '-']) => (own === '-' ? setting('system') : own))
  if (systems.length === 0) return 'none'
  const different = [...new Set(systems.join(',').split(','))].sort(compareCodeUnits)
  return `${systems.length}, for ${different.join(', ')}`
}

const nixSettings = z.record(z.string(), z.object({ value: z.unknown() }))

/** Reads the settings of Nix as text: empty for a setting that does not exist. */
async function readSettings(runNix: RunNix): Promise<(name: string) => string> {
  const flags = ['--extra-experimental-features', 'nix-command', '--json']
  // Nix 2.20 renamed the command.
  const text = await runNix('nix', ['show-config', ...flags]).catch(() =>
    runNix('nix', ['config', 'show', ...flags]),
  )
  const settings = nixSettings.parse(JSON.parse(text))
  return (name) => [settings[name]?.value ?? ''].flat().join(' ')
}
