import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildFailure } from '../../../service/adapters/nix/build-failure.ts'
import { BuildLog } from '../../../service/adapters/nix/build-log.ts'

const derivation = '/nix/store/r967sixmxzynzlsfqx8af0wfhfzj1mwq-tool.drv'
const tool = {
  name: 'tool',
  attribute: 'tool',
  derivation,
  outputName: 'out',
  storePath: '/nix/store/fp6dlhf103k258gj70qngl66v99v7hki-tool',
  system: 'aarch64-linux',
  priority: 5,
}

const older = (system: string, features = '') =>
  `error: a '${system}' with features {${features}} is required to build '${derivation}', but I am a 'x86_64-linux' with features {}`
const newer = (system: string, features = '') =>
  `error: Cannot build '${derivation}'.
       Reason: required system or feature not available
       Required system: '${system}' with features {${features}}
       Current system: 'x86_64-linux' with features {}`

/** What is told when Nix, set up like this, has nobody to build for another system. */
async function foreignFailure(builders: string, error = older('aarch64-linux')): Promise<string> {
  const log = new BuildLog()
  log.add(`@nix ${JSON.stringify({ action: 'msg', level: 0, msg: error })}`)
  const settings = {
    system: { value: 'x86_64-linux' },
    'extra-platforms': { value: ['i686-linux'] },
    builders: { value: builders },
    'system-features': { value: ['benchmark', 'nixos-test'] },
  }
  return (
    await buildFailure([tool], log, { seconds: 60, setting: 'NIX_TIMEOUT' }, async () =>
      JSON.stringify(settings),
    )
  ).message
}

describe('a package for another system', () => {
  test.each([
    ['Nix 2.8', older('aarch64-linux')],
    ['a newer Nix', newer('aarch64-linux')],
  ])('is told with what this machine builds for, by %s', async (_, error) => {
    expect(await foreignFailure('', error)).toMatch(
      /^package tool is built on aarch64-linux, .*builds for x86_64-linux i686-linux, and its remote builders are: none\./,
    )
  })

  test('is told how many remote builders there are and for what, and not where they are', async () => {
    const builders =
      'ssh://nix@alpha.intern riscv64-linux,armv7l-linux /root/key 4; beta.intern - - 2\n# old.intern\ngamma.intern'
    const message = await foreignFailure(builders)
    expect(message).toContain(
      'its remote builders are: 3, for armv7l-linux, riscv64-linux, x86_64-linux.',
    )
    expect(message).not.toMatch(/intern|key|nix@/)
  })

  test('is told the same of builders that stand in a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-machines-'))
    await writeFile(join(folder, 'machines'), '# ours\nssh://alpha.intern armv7l-linux\n')
    const message = await foreignFailure(`@${join(folder, 'machines')}`)
    await rm(folder, { recursive: true })
    expect(message).toContain('its remote builders are: 1, for armv7l-linux.')
    expect(message).not.toMatch(/intern|machines/)
  })
})

test.each([
  ['Nix 2.8', older('x86_64-linux', 'kvm, big')],
  ['a newer Nix', newer('x86_64-linux', 'kvm, big')],
])('a package that needs features is told which, by %s', async (_, error) => {
  expect(await foreignFailure('', error)).toBe(
    'package tool needs a builder with the features kvm, big: this machine has benchmark nixos-test ' +
      '(system-features), and its remote builders are: none',
  )
})
