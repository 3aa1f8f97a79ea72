/**
 * Releases 20 images of which one package changed. Measures the time from the webhook until the first image
 * and until all images are ready, compared with `nix-build` of the same 20 packages after a change of the
 * same kind. The unchanged packages have been built and packed before.
 *
 *     run 1   version 1.1 → tag, webhook → 20 × "image built" in the service's log
 *             version 1.2 → nix-build -A … -A …
 *     run 2   …                                     each version is new, so Nix really builds it
 */
import { PackageSet } from '../../test/support/package-set.ts'
import { type LogLine, Slipway, Workspace } from '../../test/support/slipway.ts'
import type { Bench } from './bench.ts'
import { Client } from './client.ts'
import { run } from './processes.ts'
import { type Row, rowOf } from './row.ts'
import { quietSettings, timeOf, webhookOf } from './service.ts'
import { until } from './until.ts'

const changing = 'custom-service'
/** Images of one release of a company, its own services and tools. Each name is also an attribute. */
const images = [
  ...[changing, 'api', 'dashboard', 'static-site', 'web', 'worker', 'curl', 'file', 'git', 'hello'],
  ...['htop', 'jq', 'nano', 'openssl', 'redis', 'ripgrep', 'rsync', 'sqlite', 'tree', 'wget'],
]

interface Readiness {
  /** Milliseconds from the webhook. */
  readonly first: number
  readonly all: number
}

export async function measurePrebuild(bench: Bench): Promise<Row[]> {
  const { signal, cleanup } = bench
  await using packages = await PackageSet.create()
  await using workspace = await Workspace.create()
  const before = await packages.commit('slipway.json', JSON.stringify({ images }))
  await cleanup.instantiate(packages.folder, images, signal)
  await nixBuild(packages, signal)
  await using slipway = await Slipway.start({
    ...workspace.settings(packages.folder),
    ...quietSettings,
    // Prebuild the default branch and pushed tags, and not the older tags.
    SLIPWAY_PREBUILD_MAX_AGE: '0',
  })
  let known = digestsOf(await allBuilt(slipway, before, signal))

  const readiness: Readiness[] = []
  const bare: number[] = []
  const change = async () => {
    const version = `1.${process.pid}.${Date.now()}`
    const commit = await packages.commit(`${changing}/version`, `${version}\n`)
    return { version, commit }
  }
  await bench.repeat(async () => {
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
    await cleanup.instantiate(packages.folder, [changing], signal)

    await change()
    bare.push(await nixBuild(packages, signal))
    await cleanup.instantiate(packages.folder, [changing], signal)
  })
  await cleanup.noteRoots(workspace.folder)
  const row = (what: string, runs: readonly number[]) =>
    rowOf({
      what,
      unit: 'ms',
      runs,
      peer: { what: `nix-build of the ${images.length} packages`, runs: bare },
    })
  return [
    row(
      'webhook → first image ready',
      readiness.map(({ first }) => first),
    ),
    row(
      `webhook → all ${images.length} ready, of which one changed`,
      readiness.map(({ all }) => all),
    ),
  ]
}

/** Waits until all images of a commit are built. Returns their log lines. */
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
