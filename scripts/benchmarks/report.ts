/** Results as JSON: what the table shows, every single run, and on what machine. */
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { benchFolder } from './bench.ts'
import { run } from './processes.ts'
import type { NamedRow } from './row.ts'
import type { Table } from './table.ts'

export interface Report {
  /** When it began, in ISO 8601. */
  readonly date: string
  readonly command: string
  readonly seconds: number
  readonly cpu: string
  readonly cores: number
  /** Bytes. */
  readonly memory: number
  /** What was measured and what with, by name. */
  readonly versions: Record<string, string>
  readonly rows: readonly NamedRow[]
  /** What some measurements give besides, by name. */
  readonly tables: Record<string, Table>
  /** Measurements that could not be made, by name, and why. */
  readonly failures: Record<string, string>
}

/** What tells the version of each, in a line of what it writes. */
const programs: Record<string, readonly [string, ...string[]]> = {
  slipway: ['git', 'describe', '--always', '--dirty'],
  nix: ['nix-store', '--version'],
  'docker-registry': ['docker-registry', '--version'],
  skopeo: ['skopeo', '--version'],
  igzip: ['igzip', '--version'],
  gzip: ['gzip', '--version'],
  tar: ['tar', '--version'],
  openssl: ['openssl', 'version'],
  // It tells its version with its usage, and ends with 1.
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
    const said = await run(program, args, { signal, cwd: import.meta.dirname }).catch(() => '')
    signal.throwIfAborted()
    versions.push([name, said.split('\n', 1)[0] ?? ''])
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

/** More of a measured number is noise. */
function sixDigits(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value)
    ? Number(value.toPrecision(6))
    : value
}
