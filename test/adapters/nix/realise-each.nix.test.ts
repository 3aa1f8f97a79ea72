/** `realiseEach` on the real Nix store: one Nix process realises many images. */

import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { nixEnvironment } from '../../../service/adapters/nix/environment.ts'
import { LocalNixStore } from '../../../service/adapters/nix/store.ts'
import { ProcessGroups } from '../../../service/adapters/process/process-group.ts'
import type { BuilderLimit } from '../../../service/build/ports.ts'
import type { EvaluatedPackage } from '../../../service/closure/package.ts'
import { failureOf } from '../../support/failure-of.ts'
import { ObservedNix } from '../../support/observed-nix.ts'
import { endlessScript, shellPackages } from '../../support/shell-packages.ts'

const run = promisify(execFile)
const groups = new ProcessGroups()
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

const packagesOf = <Name extends string>(scripts: Record<Name, string>) =>
  shellPackages(scripts, { groups, env, folder })

const limitOf = (seconds: number): BuilderLimit => {
  return { seconds, setting: 'SLIPWAY_PREBUILD_TIMEOUT' }
}
const prebuild = (seconds = 30) => ({ cause: 'prebuild' as const, limit: limitOf(seconds) })

/** Returns the names of the works in the order in which they end, well or not. */
async function endsOf(works: Record<string, Promise<unknown> | undefined>): Promise<string[]> {
  const ends: string[] = []
  const note = (name: string) => () => ends.push(name)
  await Promise.all(Object.entries(works).map(([name, work]) => work?.then(note(name), note(name))))
  return ends
}

/** Returns the process id of the Nix that realises a package. */
async function nixOf({ derivation }: EvaluatedPackage): Promise<number | undefined> {
  const { stdout } = await run('ps', ['-eo', 'pid,args'])
  const line = stdout
    .split('\n')
    .find((one) => /nix-store --realise/.test(one) && one.includes(derivation))
  return line === undefined ? undefined : Number.parseInt(line, 10)
}

/** Kills the Nix that realises a package. */
async function killNixOf(one: EvaluatedPackage): Promise<void> {
  const pid = await nixOf(one)
  if (pid === undefined) throw new Error(`no Nix realises ${one.name}`)
  process.kill(pid, 'SIGKILL')
}

/** Waits until a builder has created a file. */
async function fileOf(path: string): Promise<void> {
  const exists = () =>
    run('test', ['-e', path]).then(
      () => true,
      () => false,
    )
  await expect.poll(exists, { timeout: 60_000 }).toBe(true)
}

test('realiseEach resolves each image as soon as its own outputs are valid, with one Nix process', async () => {
  const { slow, quick, other, broken } = await packagesOf({
    slow: endlessScript,
    quick: 'echo > $out',
    other: 'echo ${quick} > $out',
    broken: 'echo compiling; echo "missing header" >&2; exit 3',
  })
  await observed.forgetRuns()
  // A prebuild takes two of four builders, so that the others can be built beside the slow one.
  const outcomes = storeOf(4).realiseEach([[slow], [quick], [other, quick], [broken]], prebuild(2))
  const [timedOut, , , failed] = outcomes.map((outcome) =>
    failureOf(outcome).catch(() => undefined),
  )
  await Promise.all([outcomes[1], outcomes[2]])
  expect(await nixOf(slow)).toBeDefined()
  expect(await timedOut).toMatchObject({
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

test('realiseEach reports a failed dependency to every image that needs it, and to no other', async () => {
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

test('an aborted realiseEach rejects the incomplete images, and only these', async () => {
  const { ready, never } = await packagesOf({ ready: 'echo > $out', never: endlessScript })
  const abort = new AbortController()
  const aborted = new Error('no ref needs it')
  const options = { ...prebuild(), signal: abort.signal }
  const [first, second] = storeOf(4).realiseEach([[ready], [never]], options)
  const failure = second?.catch((error: unknown) => error)
  await first
  abort.abort(aborted)
  expect(await failure).toBe(aborted)
  expect(await nixOf(never)).toBeUndefined()
})

test('a killed Nix makes the images unavailable that were not built, and no image failed', async () => {
  const begun = join(folder, 'begun')
  const { hanging } = await packagesOf({ hanging: `: > ${begun}\n${endlessScript}` })
  const [outcome] = storeOf(4).realiseEach([[hanging]], prebuild())
  const failure = failureOf(outcome)
  await fileOf(begun)
  await killNixOf(hanging)
  expect((await failure).kind).toBe('unavailable')
})

test('a killed Nix does not make an image failed when another image had failed before', async () => {
  const begun = join(folder, 'begun-beside-a-failure')
  // Nix prints the failure of a dependency at once, and that of a requested derivation only at its end.
  const { dependent, hanging } = await packagesOf({
    broken: `until [ -e ${begun} ]; do :; done; exit 3`,
    dependent: 'echo ${broken} > $out',
    hanging: `: > ${begun}\n${endlessScript}`,
  })
  await observed.forgetRuns()
  const failures = storeOf(4)
    .realiseEach([[dependent], [hanging]], prebuild())
    .map(failureOf)
  // One check at the start, and one when `broken` ends.
  const checks = () => observed.runs('nix-store', '--check-validity')
  await expect.poll(checks, { timeout: 60_000 }).toBeGreaterThan(1)
  await killNixOf(hanging)
  const [failed, interrupted] = await Promise.all(failures)
  expect(failed).toMatchObject({
    kind: 'build-failed',
    message: 'package dependent (building broken): the builder failed with exit code 3',
  })
  expect(interrupted?.kind).toBe('unavailable')
})

test('an image is unavailable, not failed, if the Nix store does not say which paths are valid', async () => {
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

test('a pull finds a builder while prebuilds wait, and a valid output needs no builder', async () => {
  const { first, second, built, pulled } = await packagesOf({
    first: endlessScript,
    second: endlessScript,
    built: 'echo > $out',
    pulled: 'echo > $out',
  })
  const nix = storeOf(1)
  const pull = (roots: string, one: EvaluatedPackage) =>
    nix.realise([one], { cause: 'pull', limit: limitOf(30), roots })
  await pull('built', built)
  const outcomes = [first, second].map((one) => nix.realiseEach([[one]], prebuild(2))[0])
  const ends = await endsOf({
    first: outcomes[0],
    second: outcomes[1],
    again: nix.realiseEach([[built]], prebuild())[0],
    pulled: pull('pulled', pulled),
  })
  expect(ends.slice(0, 2).toSorted()).toEqual(['again', 'pulled'])
  expect(ends.slice(2)).toEqual(['first', 'second'])
})
