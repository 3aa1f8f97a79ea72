/** The real Nix store. */

import { execFile } from 'node:child_process'
import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nixEnvironment } from '../../../service/adapters/nix/environment.ts'
import { NixEvaluator } from '../../../service/adapters/nix/evaluator.ts'
import { LocalNixStore } from '../../../service/adapters/nix/store.ts'
import { ProcessGroups } from '../../../service/adapters/process/process-groups.ts'
import type { RealiseOptions } from '../../../service/build/ports.ts'
import type { EvaluatedPackage } from '../../../service/closure/package.ts'
import { Failure } from '../../../service/image/errors.ts'
import { silentLog } from '../../support/silent-log.ts'

const run = promisify(execFile)
const groups = new ProcessGroups()
const env = nixEnvironment(process.env)
let folder: string
let nix: LocalNixStore

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-store-'))
  nix = new LocalNixStore({
    groups,
    env,
    rootsFolder: join(folder, 'roots'),
    temporaryFolder: folder,
    builders: 2,
  })
})
afterAll(async () => {
  await groups.killAll()
  await rm(folder, { recursive: true })
})

/** What makes each run's derivations new, so that they are really built. */
const salt = `${process.pid}-${Date.now()}`

/** Packages whose builders are scripts of the shell's own commands, by name. */
async function packagesOf(scripts: Record<string, string>): Promise<EvaluatedPackage[]> {
  const attributes = Object.entries(scripts).map(
    ([name, script]) =>
      `${name} = derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; ` +
      `salt = "${salt}"; args = [ "-c" ''${script}\nexit 0'' ]; };`,
  )
  await writeFile(join(folder, 'default.nix'), `rec { ${attributes.join('\n')} }`)
  const evaluator = new NixEvaluator({ groups, env, timeout: 60, concurrency: 1, log: silentLog })
  const outcomes = await evaluator.evaluate({
    folder,
    system: 'x86_64-linux',
    packages: Object.keys(scripts),
  })
  return outcomes.map((outcome) => {
    if (outcome.status !== 'found') throw new Error(JSON.stringify(outcome))
    return outcome.package
  })
}

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  return work.then(
    () => {
      throw new Error('did not fail')
    },
    (error) => {
      expect(error).toBeInstanceOf(Failure)
      return error as Failure
    },
  )
}

describe('realising', () => {
  test('builds outputs and keeps them by GC roots until they are released', async () => {
    const packages = await packagesOf({ kept: 'echo kept > $out' })
    await nix.realise(packages, options(30, 'kept'))
    const path = packages[0]?.storePath ?? ''
    await access(path)
    await expect(run('nix-store', ['--delete', path])).rejects.toThrow(/still alive/)
    await nix.release('kept')
    await run('nix-store', ['--delete', path])
    expect(await nix.has(path)).toBe(false)
  })

  test('a path that is gone is realised again', async () => {
    const packages = await packagesOf({ again: 'echo again > $out' })
    const path = packages[0]?.storePath ?? ''
    for (const roots of ['first', 'second']) {
      await nix.realise(packages, options(30, roots))
      await nix.release(roots)
      expect(await nix.has(path)).toBe(true)
      await run('nix-store', ['--delete', path])
    }
  })

  test('a failure names the package, the derivation inside it, and the end of the log', async () => {
    const packages = await packagesOf({
      inner: 'echo compiling; echo "missing header" >&2; exit 3',
      outer: 'echo ${inner} > $out',
      fine: 'echo > $out',
    })
    const wanted = packages.filter(({ name }) => name !== 'inner')
    const failure = await failureOf(nix.realise(wanted, options(30, 'failing')))
    expect(failure.kind).toBe('build-failed')
    expect(failure.message).toBe(
      'package outer (building inner): the builder failed with exit code 3; ' +
        'the end of its log:\ncompiling\nmissing header',
    )
  })

  test('a builder that runs too long is told as such', async () => {
    const packages = await packagesOf({ endless: 'echo started; while :; do :; done' })
    const failure = await failureOf(nix.realise(packages, options(1, 'endless')))
    expect(failure.kind).toBe('build-timed-out')
    expect(failure.message).toMatch(/^package endless: the builder ran past 1 seconds.*NIX_TIMEOUT/)
    const { stdout } = await run('ps', ['-eo', 'args'])
    expect(stdout).not.toContain('echo started; while')
  })

  test('what is built already does not wait for builders that are busy', async () => {
    const [busy, ready] = await Promise.all([
      packagesOf({ ready: 'echo > $out' }).then((packages) =>
        nix.realise(packages, options(30, 'ready')).then(() => packages),
      ),
    ]).then(async ([built]) => [await packagesOf({ s1: slow(1), s2: slow(2), s3: slow(3) }), built])
    const building = (busy ?? []).map((one, index) =>
      nix.realise([one], options(3, `busy-${index}`)).catch((error) => error.kind),
    )
    const order: string[] = []
    await Promise.all([
      ...building.map((build) => build.then(() => order.push('busy'))),
      nix.realise(ready ?? [], options(30, 'ready-again')).then(() => order.push('ready')),
    ])
    expect(order[0]).toBe('ready')
    expect(order).toHaveLength(4)
  })
})

const options = (seconds: number, roots: string): RealiseOptions => {
  return { cause: 'pull', limit: { seconds, setting: 'NIX_TIMEOUT' }, roots }
}

const slow = (n: number) => `echo ${n}; while :; do :; done`

describe('closures', () => {
  test('hold what is referred to, with sizes, sorted by path', async () => {
    const packages = await packagesOf({
      leaf: 'echo leaf > $out',
      middle: 'echo ${leaf} > $out',
      top: 'echo ${middle} > $out',
    })
    await nix.realise(packages, options(30, 'closure'))
    const [leaf, middle, top] = packages.map(({ storePath }) => storePath)
    const closure = await nix.closure([top ?? ''])
    expect(closure.map(({ path }) => path)).toEqual([leaf, middle, top].sort())
    expect(closure.find(({ path }) => path === top)?.references).toEqual([middle])
    for (const { narSize } of closure) expect(narSize).toBeGreaterThan(0)
  })

  test('of a path that is not there is out of reach', async () => {
    const gone = `/nix/store/${'0'.repeat(32)}-gone`
    expect((await failureOf(nix.closure([gone]))).kind).toBe('unavailable')
  })
})

describe('sources', () => {
  test('have a store path that tells of their content alone', async () => {
    const write = (text: string) => (target: string) => writeFile(join(target, 'default.nix'), text)
    const first = await nix.addSource('tree', write('{ }'))
    expect(first).toMatch(/^\/nix\/store\/[a-z0-9]{32}-source$/)
    expect(await nix.addSource('tree', write('{ }'))).toBe(first)
    expect(await nix.addSource('tree', write('{ a = 1; }'))).not.toBe(first)
  })

  test('leave no temporary folder, also when they cannot be written', async () => {
    const failing = nix.addSource('tree', async () => {
      throw new Error('no such commit')
    })
    await expect(failing).rejects.toThrow('no such commit')
    expect((await readdir(folder)).filter((name) => name.startsWith('source-'))).toEqual([])
  })
})
