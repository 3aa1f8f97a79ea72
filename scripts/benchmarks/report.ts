/** Writes results as JSON: the table, the figures of each run, and facts about the machine. */
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { benchFolder } from './bench.ts'
import { run } from './processes.ts'
import type { NamedRow } from './row.ts'
import type { Table } from './table.ts'

export interface Report {
  /** Start of the benchmarks, ISO 8601. */
  readonly date: string
  readonly command: string
  readonly seconds: number
  readonly cpu: string
  readonly cores: number
  /** Bytes. */
  readonly memory: number
  /** Versions of Slipway and of all programs that were used, by name. */
  readonly versions: Record<string, string>
  readonly rows: readonly NamedRow[]
  /** Tables of benchmarks that do not return rows, by name. */
  readonly tables: Record<string, Table>
  /** Failures of benchmarks, by name. */
  readonly failures: Record<string, string>
}

/** Commands whose first line of output contains the version. */
const programs: Record<string, readonly [string, ...string[]]> = {
  slipway: ['git', 'describe', '--always', '--dirty'],
  nix: ['nix-store', '--version'],
  'docker-registry': ['docker-registry', '--version'],
  skopeo: ['skopeo', '--version'],
  igzip: ['igzip', '--version'],
  gzip: ['gzip', '--version'],
  tar: ['tar', '--version'],
  openssl: ['openssl', 'version'],
  // wrk prints its version with its usage, and exits with 1.
  wrk: ['bash', '-c', 'wrk --version; true'],
}

export async function describeMachine(
  signal: AbortSignal,
): Promise<Pick<Report, 'cpu' | 'cores' | 'memory' | 'versions'>> {
  const versions: [string, string][] = [
    ['node', process.versions.node],
    ['linux', release()],
  ]
  for (const [name, [program, ...args]] of Object.entries(programs)) {
    const output = await run(program, args, { signal, cwd: import.meta.dirname }).catch(() => '')
    signal.throwIfAborted()
    versions.push([name, output.split('\n', 1)[0] ?? ''])
  }
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memory: totalmem(),
    versions: Object.fromEntries(versions),
  }
}

/** @returns the path of the file */
export async function writeReport(name: string, report: Report): Promise<string> {
  await mkdir(benchFolder, { recursive: true })
  const path = join(benchFolder, `${name}.json`)
  await writeFile(path, `${JSON.stringify(report, sixDigits, 2)}\n`)
  return path
}

/** Rounds fractions to six digits; further digits are noise. */
function sixDigits(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value)
    ? Number(value.toPrecision(6))
    : value
}
