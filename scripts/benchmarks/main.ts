/**
 * `scripts/bench [--runs N] [NAME [ARGUMENT…]]`: measures one thing, or everything that is compared. Prints a
 * table, and writes the same as JSON. A goal that is missed is shown; the exit code tells only
 * whether everything could be measured.
 */
import { parseArgs } from 'node:util'
import { messageOf } from '../../service/image/errors.ts'
import { Bench } from './bench.ts'
import { type Measurement, measurements } from './measurements.ts'
import { describeMachine, type Report, writeReport } from './report.ts'
import type { NamedRow } from './row.ts'
import { markdown, type Table, tableOf } from './table.ts'

const defaultRuns = 5
/** The package set has no more images that share their layers. */
const mostRuns = 20

interface Order {
  readonly runs: number
  /** Measurements by name. */
  readonly chosen: readonly [string, Measurement][]
  readonly args: readonly string[]
  /** Of the file with the results. */
  readonly file: string
}

class UsageError extends Error {}

try {
  const order = readOrder(process.argv.slice(2))
  process.exitCode = order === 'help' ? help() : await measure(order)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n${usage()}`)
  process.exitCode = 2
}

/** @throws UsageError */
function readOrder(argv: string[]): Order | 'help' {
  const { values, positionals } = parse(argv)
  if (values.help) return 'help'
  if (!/^\d+$/.test(values.runs) || Number(values.runs) < 1 || Number(values.runs) > mostRuns) {
    throw new UsageError(`--runs="${values.runs}" is no number from 1 to ${mostRuns}.`)
  }
  const runs = Number(values.runs)
  const [name, ...args] = positionals
  if (name === undefined) {
    const chosen = Object.entries(measurements).filter(([, { onlyByName }]) => !onlyByName)
    return { runs, chosen, args: [], file: 'results' }
  }
  const measurement = Object.hasOwn(measurements, name) ? measurements[name] : undefined
  if (measurement === undefined) throw new UsageError(`"${name}" cannot be measured.`)
  if (args.length > 0 && measurement.parameters === undefined) {
    throw new UsageError(`${name} takes no arguments.`)
  }
  return { runs, chosen: [[name, measurement]], args, file: name }
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
async function measure({ runs, chosen, args, file }: Order): Promise<number> {
  const interrupt = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Not `once`: a second signal must not end the process while it clears away.
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
        const found = await measure(bench, args)
        if ('header' in found) tables[name] = found
        else rows.push(...found.map((row) => ({ name, ...row })))
      } catch (error) {
        signal.throwIfAborted()
        failures[name] = messageOf(error)
      }
      await bench.tidy()
      // The table is what is read by others.
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
      'the runs, ratio: median (least–most) of the ratios of the runs\n',
  )
  for (const table of [...(rows.length > 0 ? [tableOf(rows)] : []), ...Object.values(tables)]) {
    process.stdout.write(`\n${markdown(table)}`)
  }
  for (const [name, reason] of Object.entries(failures)) {
    process.stdout.write(`\n${name} could not be measured: ${reason}\n`)
  }
  process.stderr.write(`The same as JSON: ${path}\n`)
}

function help(): number {
  process.stdout.write(usage())
  return 0
}

function usage(): string {
  const lines = Object.entries(measurements).map(([name, { parameters, about, onlyByName }]) => {
    const command = [name, ...(parameters ? [parameters] : [])].join(' ')
    return `  ${command.padEnd(17)}${about}${onlyByName ? ' (only by name)' : ''}\n`
  })
  return `scripts/bench [--runs N] [NAME [ARGUMENT…]]\n${lines.join('')}`
}
