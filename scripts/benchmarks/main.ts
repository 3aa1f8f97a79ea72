/**
 * `scripts/bench [--runs N] [NAME [ARGUMENT…]]`: runs one benchmark, or all comparisons. Prints a table, and
 * writes it as JSON. The table shows missed goals; the exit code is 1 only if a benchmark could not run.
 */
import { parseArgs } from 'node:util'
import { messageOf } from '../../service/image/errors.ts'
import { Bench } from './bench.ts'
import { type Benchmark, benchmarks } from './benchmarks.ts'
import { describeMachine, type Report, writeReport } from './report.ts'
import type { NamedRow } from './row.ts'
import { markdown, type Table, tableOf } from './table.ts'

const defaultRuns = 5
/** Number of images in the package set that share their layers; each run needs another one. */
const maxRuns = 20

interface Task {
  readonly runs: number
  /** Benchmarks by name. */
  readonly chosen: readonly [string, Benchmark][]
  readonly args: readonly string[]
  /** Name of the file with the results. */
  readonly file: string
}

class UsageError extends Error {}

try {
  const task = readTask(process.argv.slice(2))
  process.exitCode = task === 'help' ? help() : await runBenchmarks(task)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n${usage()}`)
  process.exitCode = 2
}

/** @throws UsageError */
function readTask(argv: string[]): Task | 'help' {
  const { values, positionals } = parse(argv)
  if (values.help) return 'help'
  if (!/^\d+$/.test(values.runs) || Number(values.runs) < 1 || Number(values.runs) > maxRuns) {
    throw new UsageError(`--runs="${values.runs}" must be a number from 1 to ${maxRuns}.`)
  }
  const runs = Number(values.runs)
  const [name, ...args] = positionals
  if (name === undefined) {
    const chosen = Object.entries(benchmarks).filter(([, { onlyByName }]) => !onlyByName)
    return { runs, chosen, args: [], file: 'results' }
  }
  const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined
  if (benchmark === undefined) throw new UsageError(`There is no benchmark "${name}".`)
  if (args.length > 0 && benchmark.parameters === undefined) {
    throw new UsageError(`The benchmark ${name} takes no arguments.`)
  }
  return { runs, chosen: [[name, benchmark]], args, file: name }
}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        runs: { type: 'string', default: String(defaultRuns) },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}

/** @returns the exit code */
async function runBenchmarks({ runs, chosen, args, file }: Task): Promise<number> {
  const interrupt = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Not `once`: a second signal must not end the process during the clean-up.
    process.on(name, () => interrupt.abort(new Error(`stopped by ${name}`)))
  }
  const { signal } = interrupt
  const started = new Date()
  const rows: NamedRow[] = []
  const tables: Record<string, Table> = {}
  const failures: Record<string, string> = {}
  try {
    await using bench = await Bench.create({ runs, signal })
    for (const [name, { measure }] of chosen) {
      const began = performance.now()
      try {
        const results = await measure(bench, args)
        if ('header' in results) tables[name] = results
        else rows.push(...results.map((row) => ({ name, ...row })))
      } catch (error) {
        signal.throwIfAborted()
        failures[name] = messageOf(error)
      }
      await bench.tidy()
      // To stderr, because programs may read the table from stdout.
      process.stderr.write(`${name}: ${((performance.now() - began) / 1000).toFixed(0)} s\n`)
    }
    const report: Report = {
      date: started.toISOString(),
      command: ['scripts/bench', ...process.argv.slice(2)].join(' '),
      seconds: Math.round((Date.now() - started.getTime()) / 1000),
      ...(await describeMachine(signal)),
      rows,
      tables,
      failures,
    }
    show(report, await writeReport(file, report))
  } catch (error) {
    process.stderr.write(`${messageOf(signal.aborted ? signal.reason : error)}\n`)
    return 1
  }
  return Object.keys(failures).length === 0 ? 0 : 1
}

function show(report: Report, path: string): void {
  const { date, command, seconds, cpu, cores, rows, tables, failures } = report
  process.stdout.write(
    `${date.slice(0, 10)}, \`${command}\`, ${cores} × ${cpu}, ${seconds} s; median (least–most) of ` +
      'the runs; ratio: median (least–most) of the ratios of the runs\n',
  )
  for (const table of [...(rows.length > 0 ? [tableOf(rows)] : []), ...Object.values(tables)]) {
    process.stdout.write(`\n${markdown(table)}`)
  }
  for (const [name, failure] of Object.entries(failures)) {
    process.stdout.write(`\n${name} failed: ${failure}\n`)
  }
  process.stderr.write(`Results as JSON: ${path}\n`)
}

function help(): number {
  process.stdout.write(usage())
  return 0
}

function usage(): string {
  const lines = Object.entries(benchmarks).map(([name, { parameters, about, onlyByName }]) => {
    const command = [name, ...(parameters ? [parameters] : [])].join(' ')
    return `  ${command.padEnd(24)}${about}${onlyByName ? ' (only by name)' : ''}\n`
  })
  return `scripts/bench [--runs N] [NAME [ARGUMENT…]]\n${lines.join('')}`
}
