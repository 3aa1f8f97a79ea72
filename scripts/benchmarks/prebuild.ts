/**
 * A release of 20 images of which one package changed: the time from the webhook until the first image
 * and until all are ready, beside a bare `nix-build` of the same 20 packages after a change of the same
 * kind. What did not change was built, and packed, before.
 *
 *     round 1   version 1.1 → tag, webhook → 20 × "image built" in the service's log
 *               version 1.2 → nix-build -A … -A …
 *     round 2   …                                     each version is new, so it is really built
 */
import { execFile } from 'node:child_process'
import { readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PackageSet } from '../../test/support/package-set.ts'
import { type LogLine, Slipway, Workspace } from '../../test/support/slipway.ts'
import { Client } from './client.ts'
import { quietSettings, timeOf, webhookOf } from './service.ts'
import { median } from './statistics.ts'
import type { Table } from './table.ts'
import { until } from './until.ts'

const run = promisify(execFile)

const rounds = 5
const changing = 'custom-service'
/** What a company may release at once: its own services, and tools. Each is an attribute, too. */
const images = [
  ...[changing, 'api', 'dashboard', 'static-site', 'web', 'worker', 'curl', 'file', 'git', 'hello'],
  ...['htop', 'jq', 'nano', 'openssl', 'redis', 'ripgrep', 'rsync', 'sqlite', 'tree', 'wget'],
]

interface Readiness {
  /** Milliseconds from the webhook. */
  readonly first: number
  readonly all: number
}

export async function measurePrebuild(_: readonly string[], signal: AbortSignal): Promise<Table> {
  /** Store paths that are of no use after this. */
  const litter: string[] = []
  try {
    return await measureRounds(litter, signal)
  } finally {
    await removeFromStore(litter)
  }
}

async function measureRounds(litter: string[], signal: AbortSignal): Promise<Table> {
  await using packages = await PackageSet.create()
  await using workspace = await Workspace.create()
  const before = await packages.commit('slipway.json', JSON.stringify({ images }))
  await nixBuild(packages, signal)
  await using slipway = await Slipway.start({
    ...workspace.settings(packages.folder),
    ...quietSettings,
    // The default branch and what is pushed from now on, whatever the dates of the older tags.
    SLIPWAY_PREBUILD_MAX_AGE: '0',
  })
  let known = digestsOf(await allBuilt(slipway, before, signal))
  litter.push(await sourceOf(workspace, before))

  const readiness: Readiness[] = []
  const bare: number[] = []
  const change = async () => {
    const version = `1.${process.pid}.${Date.now()}`
    const commit = await packages.commit(`${changing}/version`, `${version}\n`)
    return { version, commit }
  }
  for (let round = 1; round <= rounds; round += 1) {
    const { version, commit } = await change()
    const tag = `release-${version}`
    await packages.git('tag', '--annotate', tag, '--message', version)
    const posted = Date.now()
    {
      using client = new Client(slipway.url, 1, signal)
      await client.ask(webhookOf(`refs/tags/${tag}`), 202)
    }
    const lines = await allBuilt(slipway, commit, signal)
    const times = lines.map((line) => timeOf(line) - posted)
    readiness.push({ first: Math.min(...times), all: Math.max(...times) })
    const digests = digestsOf(lines)
    const changed = images.filter((image) => digests.get(image) !== known.get(image))
    if (changed.join() !== changing) throw new Error(`changed: ${changed.join(', ')}`)
    known = digests
    litter.push(...(await storePathsOf(packages)), await sourceOf(workspace, commit))

    await change()
    bare.push(await nixBuild(packages, signal))
    litter.push(...(await storePathsOf(packages)))
  }
  const reference = median(bare)
  const row = (what: string, times: readonly number[]): string[] => [
    what,
    ...[median(times), Math.min(...times), Math.max(...times)].map((time) => time.toFixed(0)),
    (median(times) / reference).toFixed(2),
  ]
  return {
    header: [`${rounds} releases`, 'median ms', 'least ms', 'most ms', 'ratio to nix-build'],
    rows: [
      row(
        'webhook → first image ready',
        readiness.map(({ first }) => first),
      ),
      row(
        `webhook → all ${images.length} ready`,
        readiness.map(({ all }) => all),
      ),
      row(`nix-build of the ${images.length}`, bare),
    ],
  }
}

/** The lines that tell of the images of a commit, when all are there. */
function allBuilt(slipway: Slipway, commit: string, signal: AbortSignal): Promise<LogLine[]> {
  return until(`${images.length} images of ${commit}`, 20, signal, () => {
    const lines = slipway.logged('image built').filter(({ revision }) => revision === commit)
    return lines.length >= images.length ? lines : undefined
  })
}

function digestsOf(lines: readonly LogLine[]): Map<unknown, unknown> {
  return new Map(lines.map(({ image, digest }) => [image, digest]))
}

/** @returns milliseconds */
async function nixBuild(packages: PackageSet, signal: AbortSignal): Promise<number> {
  const attributes = images.flatMap((image) => ['-A', image])
  const started = performance.now()
  await run('nix-build', [packages.folder, '--no-out-link', ...attributes], { signal })
  return performance.now() - started
}

/** What the package set as it is now has added to the store: the changed package and its derivation. */
async function storePathsOf(packages: PackageSet): Promise<string[]> {
  const instantiated = await run('nix-instantiate', [packages.folder, '-A', changing])
  const derivation = instantiated.stdout.trim()
  const { stdout } = await run('nix-store', ['--query', '--outputs', derivation])
  return [...stdout.trim().split('\n'), derivation]
}

/** The tree of a commit, as the service put it into the store. */
function sourceOf(workspace: Workspace, commit: string): Promise<string> {
  return readlink(join(workspace.folder, 'state/run/gcroots', `source-${commit}`, 'source'))
}

async function removeFromStore(paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return
  await run('nix-store', ['--delete', ...new Set(paths)]).catch((error: Error) => {
    process.stderr.write(`left in the Nix store: ${error.message}\n`)
  })
}
