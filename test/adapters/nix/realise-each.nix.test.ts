/** Images that one Nix process realises, on the real Nix store. */

import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nixEnvironment } from '../../../service/adapters/nix/environment.ts'
import { NixEvaluator } from '../../../service/adapters/nix/evaluator.ts'
import { LocalNixStore } from '../../../service/adapters/nix/store.ts'
import { ProcessGroups } from '../../../service/adapters/process/process-groups.ts'
import type { BuilderLimit } from '../../../service/build/ports.ts'
import type { EvaluatedPackage } from '../../../service/closure/package.ts'
import { Failure } from '../../../service/image/errors.ts'
import { ObservedNix } from '../../support/observed-nix.ts'
import { silentLog } from '../../support/silent-log.ts'

const run = promisify(execFile)
const groups = new ProcessGroups()
const salt = `${process.pid}-${Date.now()}`
let folder: string
let observed: ObservedNix
let env: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-each-'))
  observed = await ObservedNix.create(join(folder, 'nix'))
  env = { ...nixEnvironment(process.env), PATH: observed.path }
})
afterAll(async () => {
  await groups.killAll()
  await rm(folder, { recursive: true })
})

function storeOf(builders: number, environment = env): LocalNixStore {
  const rootsFolder = join(folder, 'roots')
  return new LocalNixStore({
    groups,
    env: environment,
    rootsFolder,
    temporaryFolder: folder,
    builders,
  })
}

/** Packages whose builders are scripts of the shell's own commands, by name. */
async function packagesOf<Name extends string>(
  scripts: Record<Name, string>,
): Promise<Record<Name, EvaluatedPackage>> {
  const attributes = Object.entries(scripts).map(
    ([name, script]) =>
      `${name} = derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; ` +
      `salt = "${salt}"; args = [ "-c" ''${script}\nexit 0'' ]; };`,
  )
  const set = await mkdtemp(join(folder, 'set-'))
  await writeFile(join(set, 'default.nix'), `rec { ${attributes.join('\n')} }`)
  const evaluator = new NixEvaluator({ groups, env, timeout: 60, concurrency: 1, log: silentLog })
  const outcomes = await evaluator.evaluate({
    folder: set,
    system: 'x86_64-linux',
    packages: Object.keys(scripts),
  })
  const packages = outcomes.map((outcome) => {
    if (outcome.status !== 'found') throw new Error(JSON.stringify(outcome))
    return [outcome.package.name, outcome.package]
  })
  return Object.fromEntries(packages)
}

const limitOf = (seconds: number): BuilderLimit => {
  return { seconds, setting: 'SLIPWAY_PREBUILD_TIMEOUT' }
}
const prebuild = (seconds = 30) => ({ cause: 'prebuild' as const, limit: limitOf(seconds) })

const failureOf = (work: Promise<void> | undefined): Promise<Failure> =>
  (work ?? Promise.resolve()).then(
    () => {
      throw new Error('did not fail')
    },
    (error) => {
      expect(error).toBeInstanceOf(Failure)
      return error as Failure
    },
  )

const endless = 'echo begun; while :; do :; done'

/** In the order in which they end, well or not. */
async function endsOf(outcomes: Record<string, Promise<unknown> | undefined>): Promise<string[]> {
  const ends: string[] = []
  const note = (name: string) => () => ends.push(name)
  await Promise.all(
    Object.entries(outcomes).map(([name, outcome]) => outcome?.then(note(name), note(name))),
  )
  return ends
}

describe('images that are realised together', () => {
  test('are told as soon as their own outputs are there, by one process', async () => {
    const { slow, quick, other, broken } = await packagesOf({
      slow: endless,
      quick: 'echo > $out',
      other: 'echo ${quick} > $out',
      broken: 'echo compiling; echo "missing header" >&2; exit 3',
    })
    await observed.forgetRuns()
    // Of four builders a prebuild takes two, so that the slow one is not alone.
    const outcomes = storeOf(4).realiseEach(
      [[slow], [quick], [other, quick], [broken]],
      prebuild(2),
    )
    const [late, , , failed] = outcomes.map((outcome) => failureOf(outcome).catch(() => undefined))
    await Promise.all([outcomes[1], outcomes[2]])
    expect(await nixOf(slow)).toBeDefined()
    expect(await late).toMatchObject({
      kind: 'build-timed-out',
      message: expect.stringMatching(
        /^package slow: .*2 seconds.*SLIPWAY_PREBUILD_TIMEOUT.*\nbegun$/s,
      ),
    })
    expect(await failed).toMatchObject({
      kind: 'build-failed',
      message:
        'package broken: the builder failed with exit code 3; ' +
        'the end of its log:\ncompiling\nmissing header',
    })
    expect(await observed.runs('nix-store', '--realise')).toBe(1)
  })

  test('and need the same dependency that fails are both told of it', async () => {
    const { one, two, apart } = await packagesOf({
      inner: 'echo the reason; exit 7',
      one: 'echo ${inner} one > $out',
      two: 'echo ${inner} two > $out',
      apart: 'echo > $out',
    })
    const [first, second, third] = storeOf(4).realiseEach([[one], [two], [apart]], prebuild())
    const failures = await Promise.all([failureOf(first), failureOf(second)])
    await third
    expect(failures.map(({ message }) => message)).toEqual(
      ['one', 'two'].map(
        (name) =>
          `package ${name} (building inner): the builder failed with exit code 7; ` +
          'the end of its log:\nthe reason',
      ),
    )
  })

  test('end when nobody wants them; what was ready before stays so', async () => {
    const { ready, never } = await packagesOf({ ready: 'echo > $out', never: endless })
    const abort = new AbortController()
    const reason = new Error('nobody wants it')
    const options = { ...prebuild(4), signal: abort.signal }
    const [first, second] = storeOf(4).realiseEach([[ready], [never]], options)
    const ended = second?.catch((error: unknown) => error)
    await first
    abort.abort(reason)
    expect(await ended).toBe(reason)
  })

  test('are not to blame when Nix itself is killed', async () => {
    const { broken, hanging } = await packagesOf({ broken: 'exit 3', hanging: endless })
    const [, second] = storeOf(4)
      .realiseEach([[broken], [hanging]], prebuild())
      .map(failureOf)
    await expect.poll(() => nixOf(hanging), { timeout: 5000 }).toBeDefined()
    // Time for the broken one to fail.
    await delay(500)
    process.kill((await nixOf(hanging)) ?? 0, 'SIGKILL')
    expect((await second)?.kind).toBe('unavailable')
  })

  test('are not to blame when the store does not say what is in it', async () => {
    const bin = join(folder, 'silent', 'bin')
    await mkdir(bin, { recursive: true })
    const script = `#!/bin/sh
case "$1" in --check-validity) echo 'error: cannot open the database' >&2; exit 1;; esac
PATH=\${PATH#*:} exec nix-store "$@"
`
    await writeFile(join(bin, 'nix-store'), script, { mode: 0o755 })
    const { sound } = await packagesOf({ sound: 'echo > $out' })
    const nix = storeOf(4, { ...env, PATH: `${bin}:${env.PATH}` })
    const [outcome] = nix.realiseEach([[sound]], prebuild())
    expect((await failureOf(outcome)).kind).toBe('unavailable')
  })
})

/** The process that realises a package. */
async function nixOf({ derivation }: EvaluatedPackage): Promise<number | undefined> {
  const { stdout } = await run('ps', ['-eo', 'pid,args'])
  const line = stdout
    .split('\n')
    .find((one) => /nix-store --realise/.test(one) && one.includes(derivation))
  return line === undefined ? undefined : Number.parseInt(line, 10)
}

describe('builders', () => {
  test('are never all taken by prebuilds, and what is built already needs none', async () => {
    const { first, second, built, pulled } = await packagesOf({
      first: endless,
      second: endless,
      built: 'echo > $out',
      pulled: 'echo > $out',
    })
    const nix = storeOf(1)
    const pull = (roots: string, one: EvaluatedPackage) =>
      nix.realise([one], { cause: 'pull', limit: limitOf(30), roots })
    await pull('built', built)
    await observed.forgetRuns()
    const outcomes = [first, second].map((one) => nix.realiseEach([[one]], prebuild(2))[0])
    const again = nix.realiseEach([[built]], prebuild())[0]
    const ends = await endsOf({
      first: outcomes[0],
      second: outcomes[1],
      again,
      pulled: pull('pulled', pulled),
    })
    expect(ends.slice(0, 2).toSorted()).toEqual(['again', 'pulled'])
    expect(ends.slice(2)).toEqual(['first', 'second'])
  })
})
