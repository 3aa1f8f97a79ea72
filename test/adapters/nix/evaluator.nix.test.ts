/** NixEvaluator on package sets of every kind, with the real Nix. */

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nixEnvironment } from '../../../service/adapters/nix/environment.ts'
import { NixEvaluator } from '../../../service/adapters/nix/evaluator.ts'
import { ProcessGroups } from '../../../service/adapters/process/process-group.ts'
import { type PackageOutcome, storePathsOf } from '../../../service/closure/package.ts'
import { silentLog } from '../../support/silent-log.ts'

const run = promisify(execFile)
let folder: string
const groups = new ProcessGroups()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-sets-'))
})
afterAll(async () => {
  await groups.killAll()
  await rm(folder, { recursive: true })
})

/** Evaluates packages of a set whose default.nix is this expression. */
async function evaluate(
  expression: string,
  packages: string[],
  { system = 'x86_64-linux', timeout = 60, env = process.env } = {},
): Promise<PackageOutcome[]> {
  await writeFile(join(folder, 'default.nix'), expression)
  const evaluator = new NixEvaluator({
    groups,
    env: nixEnvironment(env),
    timeout,
    concurrency: 1,
    log: silentLog,
  })
  return evaluator.evaluate({ folder, system, packages })
}

const derivation = (name: string, extra = '') =>
  `(derivation { name = "${name}"; system = "x86_64-linux"; builder = "/bin/sh"; } // { ${extra} })`

describe('a package set', () => {
  test.each([
    ['an attribute set', `{ a = ${derivation('a')}; }`],
    ['a function that names system', `{ system }: { a = ${derivation('a')}; }`],
    ['a function with defaults', `{ system ? "x", pkgs ? null }: { a = ${derivation('a')}; }`],
    ['a function that does not take system', `{ pkgs ? null }: { a = ${derivation('a')}; }`],
    ['a function of anything', `args: { a = ${derivation('a')}; }`],
    ['a function with an ellipsis', `{ ... }: { a = ${derivation('a')}; }`],
  ])('a package set may be %s', async (_, expression) => {
    expect(await evaluate(expression, ['a'])).toMatchObject([
      { status: 'found', package: { name: 'a', attribute: 'a', outputName: 'out' } },
    ])
  })

  test('a package set that takes `system` gets the system of the image', async () => {
    const set =
      '{ system }: { a = derivation { name = "a"; inherit system; builder = "/bin/sh"; }; }'
    expect(await evaluate(set, ['a'], { system: 'aarch64-linux' })).toMatchObject([
      { package: { system: 'aarch64-linux' } },
    ])
  })

  test.each([
    ['"text"', /the package set cannot be evaluated: default.nix gives a string/],
    ['{', /syntax error/],
    ['throw "the set is closed"', /the package set cannot be evaluated: the set is closed/],
    ['import ./missing.nix', /missing\.nix/],
  ])('package set %s: one failure for the whole set', async (expression, message) => {
    await expect(evaluate(expression, ['a', 'b'])).rejects.toMatchObject({
      kind: 'evaluation-failed',
      message: expect.stringMatching(message),
    })
  })
})

describe('looking a package up', () => {
  const set = `{
    plain = ${derivation('plain')};
    camelCase.innerSet.leafName = ${derivation('leaf')};
    _7zip = ${derivation('7zip')};
    _3Dthing = ${derivation('3d')};
    Both = ${derivation('upper')}; both = ${derivation('lower')};
    number = 3;
  }`

  test.each([
    ['plain', 'plain'],
    ['camelcase.innerset.leafname', 'camelCase.innerSet.leafName'],
    ['7zip', '_7zip'],
    ['3dthing', '_3Dthing'],
    ['both', 'both'],
  ])('package name %s finds attribute %s', async (name, attribute) => {
    expect(await evaluate(set, [name])).toMatchObject([
      { status: 'found', package: { name, attribute } },
    ])
  })

  test('the outcome for a name without a package lists what the set has there', async () => {
    expect(await evaluate(set, ['nothing', 'camelcase.nothing', 'camelcase', 'number'])).toEqual([
      {
        status: 'missing',
        name: 'nothing',
        level: '',
        known: ['Both', '_3Dthing', '_7zip', 'both', 'camelCase', 'number', 'plain'],
      },
      { status: 'missing', name: 'camelcase.nothing', level: 'camelCase', known: ['innerSet'] },
      { status: 'set', name: 'camelcase', members: ['innerSet'] },
      { status: 'not-a-derivation', name: 'number', type: 'int' },
    ])
  })

  test('names that contain Nix code are data', async () => {
    const names = ['${builtins.abort "x"}', '"; abort "x', 'a\\b', "''", 'plain ']
    const outcomes = await evaluate(set, names)
    expect(outcomes.map(({ status }) => status)).toEqual(names.map(() => 'missing'))
  })
})

describe('the facts of a package', () => {
  test('mainProgram, priority and imageConfig are read from the attribute', async () => {
    const extra = `
      meta = { mainProgram = "prog"; priority = 3; };
      passthru.imageConfig = { Env = [ "A=1" ]; };
    `
    expect(await evaluate(`{ a = ${derivation('a', extra)}; }`, ['a'])).toMatchObject([
      { package: { mainProgram: 'prog', priority: 3, imageConfig: { Env: ['A=1'] } } },
    ])
  })

  test('the outputs that an imageConfig refers to are required', async () => {
    const config = `imageConfig.Cmd = [ "\${${derivation('other')}}/bin/other" "\${./file}" ];`
    await writeFile(join(folder, 'file'), 'a file of the set')
    const [outcome] = await evaluate(`{ a = ${derivation('a', config)}; }`, ['a'])
    if (outcome?.status !== 'found') throw new Error(JSON.stringify(outcome))
    expect(outcome.package.requires).toEqual([
      { derivation: expect.stringMatching(/-other\.drv$/), outputName: 'out' },
    ])
    expect(storePathsOf(outcome.package)).toEqual([
      outcome.package.storePath,
      expect.stringMatching(/^\/nix\/store\/[a-z0-9]{32}-other$/),
      expect.stringMatching(/^\/nix\/store\/[a-z0-9]{32}-file$/),
    ])
  })

  test('facts that are missing or of a wrong type are left out', async () => {
    const wrong = derivation('b', 'meta = { mainProgram = 1; priority = "high"; };')
    const outcomes = await evaluate(`{ a = ${derivation('a')}; b = ${wrong}; }`, ['a', 'b'])
    for (const outcome of outcomes) {
      if (outcome.status !== 'found') throw new Error(outcome.status)
      expect(outcome.package.priority).toBe(5)
      expect(outcome.package).not.toHaveProperty('mainProgram')
      expect(outcome.package).not.toHaveProperty('imageConfig')
    }
  })

  test('the store path is that of the output that the attribute selects', async () => {
    const multi = `(derivation { name = "m"; system = "x86_64-linux"; builder = "/bin/sh"; outputs = [ "bin" "dev" ]; })`
    const outcomes = await evaluate(`rec { m = ${multi}; d = m.dev; }`, ['m', 'd'])
    expect(outcomes).toMatchObject([
      { package: { outputName: 'bin', storePath: expect.stringMatching(/-m-bin$/) } },
      { package: { outputName: 'dev', storePath: expect.stringMatching(/-m-dev$/) } },
    ])
  })
})

describe('a package that cannot be evaluated', () => {
  test.each([
    ['throw "no license"', /^no license/],
    ['abort "stop"', /stop/],
    ['1 + "a"', /cannot (add|coerce)/],
    ['let x = x; in x', /infinite recursion/],
    ['import ./nowhere.nix', /nowhere\.nix/],
    ['{ type = "derivation"; }', /^attribute '(drvPath|outPath)' missing$/],
    ['assert false; 1', /assert/],
  ])('%s fails, and the packages around it are found', async (broken, message) => {
    const set = `{ a = ${derivation('a')}; bad = ${broken}; z = ${derivation('z')}; }`
    expect(await evaluate(set, ['a', 'bad', 'z'])).toMatchObject([
      { status: 'found' },
      { status: 'failed', name: 'bad', message: expect.stringMatching(message) },
      { status: 'found' },
    ])
  })

  test('several broken packages fail each with its own message', async () => {
    const outcomes = await evaluate('{ a = throw "first"; b = throw "second"; }', ['a', 'b'])
    expect(outcomes).toEqual([
      { status: 'failed', name: 'a', message: 'first' },
      { status: 'failed', name: 'b', message: 'second' },
    ])
  })

  test('the message of a broken package contains no trace of the package set', async () => {
    const noisy = 'builtins.trace "slipway-1 0" (throw "loud")'
    const [outcome] = await evaluate(`{ a = ${noisy}; }`, ['a'])
    expect(outcome).toEqual({ status: 'failed', name: 'a', message: 'loud' })
  })

  test('the message of a broken package contains no credentials', async () => {
    const fetched = 'import (builtins.fetchTarball "http://robot:secret@127.0.0.1:1/x.tar.gz")'
    const set = `{ a = ${fetched}; }`
    const settings = `${process.env.NIX_CONFIG ?? ''}\ndownload-attempts = 1`
    const [outcome] = await evaluate(set, ['a'], { env: { ...process.env, NIX_CONFIG: settings } })
    expect(outcome).toMatchObject({
      status: 'failed',
      message: expect.stringContaining("'http://***@127.0.0.1:1/x.tar.gz'"),
    })
    expect(JSON.stringify(outcome)).not.toContain('secret')
  })

  test('an evaluation past its time limit is killed and reported for its package', async () => {
    const endless =
      "builtins.length (builtins.genList (x: builtins.foldl' (a: b: a + b) 0 (builtins.genList (y: y) 100000000)) 100000)"
    const set = `{ a = ${derivation('a')}; endless = builtins.deepSeq [ (builtins.foldl' (a: b: a + b) 0 (builtins.genList (y: y) 2000000000)) ${endless} ] 1; }`
    expect(await evaluate(set, ['a', 'endless'], { timeout: 2 })).toMatchObject([
      { status: 'found' },
      { status: 'timed-out', name: 'endless', seconds: 2 },
    ])
    const { stdout } = await run('ps', ['-eo', 'args'])
    expect(stdout).not.toContain(folder)
  })
})
