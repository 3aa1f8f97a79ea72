/** LocalNixStore on the real Nix store. */

import { execFile } from 'node:child_process'
import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nixEnvironment } from '../../../service/adapters/nix/environment.ts'
import { LocalNixStore } from '../../../service/adapters/nix/store.ts'
import { ProcessGroups } from '../../../service/adapters/process/process-group.ts'
import type { RealiseOptions } from '../../../service/build/ports.ts'
import { failureOf } from '../../support/failure-of.ts'
import { endlessScript, shellPackages } from '../../support/shell-packages.ts'

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

const packagesOf = <Name extends string>(scripts: Record<Name, string>) =>
  shellPackages(scripts, { groups, env, folder })

const options = (seconds: number, roots: string): RealiseOptions => {
  return { cause: 'pull', limit: { seconds, setting: 'NIX_TIMEOUT' }, roots }
}

describe('realise', () => {
  test('realise builds outputs, and its GC roots keep them until release', async () => {
    const { kept } = await packagesOf({ kept: 'echo kept > $out' })
    await nix.realise([kept], options(30, 'kept'))
    await access(kept.storePath)
    await expect(run('nix-store', ['--delete', kept.storePath])).rejects.toThrow(/still alive/)
    await nix.release('kept')
    await run('nix-store', ['--delete', kept.storePath])
    expect(await nix.has(kept.storePath)).toBe(false)
  })

  test('realise builds an output again that was deleted', async () => {
    const { again } = await packagesOf({ again: 'echo again > $out' })
    for (const roots of ['first', 'second']) {
      await nix.realise([again], options(30, roots))
      await nix.release(roots)
      expect(await nix.has(again.storePath)).toBe(true)
      await run('nix-store', ['--delete', again.storePath])
    }
  })

  test('a build failure names the package, the failed dependency, and the end of its log', async () => {
    const { outer, fine } = await packagesOf({
      inner: 'echo compiling; echo "missing header" >&2; exit 3',
      outer: 'echo ${inner} > $out',
      fine: 'echo > $out',
    })
    const failure = await failureOf(nix.realise([outer, fine], options(30, 'failing')))
    expect(failure.kind).toBe('build-failed')
    expect(failure.message).toBe(
      'package outer (building inner): the builder failed with exit code 3; ' +
        'the end of its log:\ncompiling\nmissing header',
    )
  })

  test('a builder that runs past its limit is stopped and reported with the setting', async () => {
    const { endless } = await packagesOf({ endless: `: stopped by its limit\n${endlessScript}` })
    const failure = await failureOf(nix.realise([endless], options(1, 'endless')))
    expect(failure.kind).toBe('build-timed-out')
    expect(failure.message).toMatch(/^package endless: the builder ran past 1 seconds.*NIX_TIMEOUT/)
    const { stdout } = await run('ps', ['-eo', 'args'])
    expect(stdout).not.toContain('stopped by its limit')
  })

  test('realise of valid outputs does not wait for a builder', async () => {
    const { ready, ...busy } = await packagesOf({
      ready: 'echo > $out',
      first: endlessScript,
      second: `: second\n${endlessScript}`,
      third: `: third\n${endlessScript}`,
    })
    await nix.realise([ready], options(30, 'ready'))
    const ends: string[] = []
    const building = Object.values(busy).map(async (one) => {
      await failureOf(nix.realise([one], options(3, `busy-${one.name}`)))
      ends.push('busy')
    })
    await nix.realise([ready], options(30, 'ready-again'))
    ends.push('ready')
    await Promise.all(building)
    expect(ends).toEqual(['ready', 'busy', 'busy', 'busy'])
  })
})

describe('closure', () => {
  test('a closure holds all references with sizes, sorted by path', async () => {
    const { leaf, middle, top } = await packagesOf({
      leaf: 'echo leaf > $out',
      middle: 'echo ${leaf} > $out',
      top: 'echo ${middle} > $out',
    })
    await nix.realise([top], options(30, 'closure'))
    const closure = await nix.closure([top.storePath])
    const paths = [leaf, middle, top].map(({ storePath }) => storePath)
    expect(closure.map(({ path }) => path)).toEqual(paths.toSorted())
    const references = closure.find(({ path }) => path === top.storePath)?.references
    expect(references).toEqual([middle.storePath])
    for (const { narSize } of closure) expect(narSize).toBeGreaterThan(0)
  })

  test('the closure of a path that does not exist is unavailable', async () => {
    const gone = `/nix/store/${'0'.repeat(32)}-gone`
    expect((await failureOf(nix.closure([gone]))).kind).toBe('unavailable')
  })
})

describe('addSource', () => {
  test('the store path of a source tree depends on its content alone', async () => {
    const write = (text: string) => (target: string) => writeFile(join(target, 'default.nix'), text)
    const first = await nix.addSource('tree', write('{ }'))
    expect(first).toMatch(/^\/nix\/store\/[a-z0-9]{32}-source$/)
    expect(await nix.addSource('tree', write('{ }'))).toBe(first)
    expect(await nix.addSource('tree', write('{ a = 1; }'))).not.toBe(first)
  })

  test('addSource leaves no temporary folder if the tree cannot be written', async () => {
    const failing = nix.addSource('tree', async () => {
      throw new Error('no such commit')
    })
    await expect(failing).rejects.toThrow('no such commit')
    expect((await readdir(folder)).filter((name) => name.startsWith('source-'))).toEqual([])
  })
})
