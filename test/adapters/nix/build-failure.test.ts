import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildFailure } from '../../../service/adapters/nix/build-failure.ts'
import { BuildLog } from '../../../service/adapters/nix/build-log.ts'
import { Failure } from '../../../service/image/errors.ts'
import { evaluated } from '../../support/fake-nix.ts'
import { TemporaryFolder } from '../../support/temporary-folder.ts'

const tool = evaluated('tool')
const limit = { seconds: 60, setting: 'NIX_TIMEOUT' } as const

/** The error of Nix 2.8 for a derivation that no builder can build. */
const older = (system: string, features = '') =>
  `error: a '${system}' with features {${features}} is required to build '${tool.derivation}', but I am a 'x86_64-linux' with features {}`
/** The same error of newer versions. */
const newer = (system: string, features = '') =>
  `error: Cannot build '${tool.derivation}'.
       Reason: required system or feature not available
       Required system: '${system}' with features {${features}}
       Current system: 'x86_64-linux' with features {}`

function logOf(...errors: string[]): BuildLog {
  const log = new BuildLog()
  for (const msg of errors) log.add(`@nix ${JSON.stringify({ action: 'msg', level: 0, msg })}`)
  return log
}

/** Returns the message for a package without a builder, by a Nix with these remote builders. */
async function missingBuilderMessage(error: string, builders = ''): Promise<string> {
  const settings = {
    system: { value: 'x86_64-linux' },
    'extra-platforms': { value: ['i686-linux'] },
    builders: { value: builders },
    'system-features': { value: ['benchmark', 'nixos-test'] },
  }
  const failure = await buildFailure([tool], logOf(error), limit, async () =>
    JSON.stringify(settings),
  )
  expect(failure.kind).toBe('build-failed')
  return failure.message
}

describe('a package that no builder can build', () => {
  test.each([
    ['Nix 2.8', older('aarch64-linux')],
    ['a newer Nix', newer('aarch64-linux')],
  ])(
    'a package for another system is reported with the systems of this machine, by %s',
    async (_, error) => {
      expect(await missingBuilderMessage(error)).toMatch(
        /^package tool is built on aarch64-linux, .*builds for x86_64-linux i686-linux, and its remote builders are: none\./,
      )
    },
  )

  test('remote builders are reported by number and system, without their hosts', async () => {
    const builders =
      'ssh://nix@alpha.intern riscv64-linux,armv7l-linux /root/key 4; beta.intern - - 2\n# old.intern\ngamma.intern'
    const message = await missingBuilderMessage(older('aarch64-linux'), builders)
    expect(message).toContain(
      'its remote builders are: 3, for armv7l-linux, riscv64-linux, x86_64-linux.',
    )
    expect(message).not.toMatch(/intern|key|nix@/)
  })

  test('remote builders listed in a file are reported the same way', async () => {
    await using folder = await TemporaryFolder.create()
    const machines = join(folder.path, 'machines')
    await writeFile(machines, '# ours\nssh://alpha.intern armv7l-linux\n')
    const message = await missingBuilderMessage(older('aarch64-linux'), `@${machines}`)
    expect(message).toContain('its remote builders are: 1, for armv7l-linux.')
    expect(message).not.toMatch(/intern|machines/)
  })

  test.each([
    ['Nix 2.8', older('x86_64-linux', 'kvm, big')],
    ['a newer Nix', newer('x86_64-linux', 'kvm, big')],
  ])('a package that needs features is reported with these, by %s', async (_, error) => {
    expect(await missingBuilderMessage(error)).toBe(
      'package tool needs a builder with the features kvm, big: this machine has benchmark nixos-test, ' +
        'and its remote builders are: none. Add the features (system-features), or a builder that has ' +
        "them (builders), to Nix's configuration",
    )
  })
})

describe('a Nix process that was stopped', () => {
  const failed = evaluated('failed')
  const interrupted = () => {
    const log = logOf(`error: builder for '${failed.derivation}' failed with exit code 3`)
    log.interruption = new Failure('unavailable', 'Nix was stopped')
    return log
  }
  const noRequisites = async () => ''

  test('an image whose packages had not failed gets the interruption as its failure', async () => {
    const log = interrupted()
    expect(await buildFailure([tool], log, limit, noRequisites)).toBe(log.interruption)
  })

  test('an image whose package had failed gets that failure', async () => {
    const failure = await buildFailure([failed], interrupted(), limit, noRequisites)
    expect(failure.kind).toBe('build-failed')
    expect(failure.message).toBe('package failed: the builder failed with exit code 3')
  })
})

test('an image for whose failure Nix printed no error is reported with all its packages', async () => {
  const failure = await buildFailure([tool, evaluated('git')], logOf(), limit, async () => '')
  expect(failure.message).toBe('tool, git: Nix printed no error')
})
