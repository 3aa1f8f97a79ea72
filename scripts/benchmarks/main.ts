/** `scripts/bench WHAT [ARGUMENT…]`: measures one thing and prints a table, tabs between its cells. */
import { messageOf } from '../../service/domain/errors.ts'
import { measurePrebuild } from './prebuild.ts'
import { measurePull } from './pull.ts'
import { measureRefs } from './refs.ts'
import { type Table, tabSeparated } from './table.ts'
import { measureWebhooks } from './webhooks.ts'

/** Milliseconds after which a measurement is given up: the longest takes some minutes. */
const timeLimit = 15 * 60_000

interface Measurement {
  readonly usage: string
  readonly about: string
  /** Leaves no process and no folder behind, also when the signal ends it. */
  readonly measure: (args: readonly string[], signal: AbortSignal) => Promise<Table>
}

const measurements: Record<string, Measurement> = {
  pull: {
    usage: 'pull [IMAGE…]',
    about: 'cold pull on an empty storage, warm manifest, peak memory',
    measure: measurePull,
  },
  prebuild: {
    usage: 'prebuild',
    about: 'webhook → 20 images ready of which one changed, beside nix-build',
    measure: measurePrebuild,
  },
  webhooks: {
    usage: 'webhooks',
    about: 'answers to 1,000 webhooks while a fetch hangs',
    measure: measureWebhooks,
  },
  refs: {
    usage: 'refs [COUNT]',
    about: 'a repository with 20,000 tags: start, new tag, resolve, memory',
    measure: measureRefs,
  },
}

const [what = '', ...args] = process.argv.slice(2)
const measurement = Object.hasOwn(measurements, what) ? measurements[what] : undefined
if (measurement) {
  process.exitCode = await run(measurement)
} else {
  const lines = Object.values(measurements).map(({ usage, about }) => {
    return `  scripts/bench ${usage.padEnd(15)}${about}\n`
  })
  const usage = `What can be measured:\n${lines.join('')}`
  if (what === '') process.stdout.write(usage)
  else process.stderr.write(`"${what}" cannot be measured. ${usage}`)
  process.exitCode = what === '' ? 0 : 2
}

/** @returns the exit code */
async function run({ measure }: Measurement): Promise<number> {
  const interrupt = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => interrupt.abort(new Error(`stopped by ${name}`)))
  }
  const signal = AbortSignal.any([interrupt.signal, AbortSignal.timeout(timeLimit)])
  try {
    process.stdout.write(tabSeparated(await measure(args, signal)))
    return 0
  } catch (error) {
    process.stderr.write(`${messageOf(signal.aborted ? signal.reason : error)}\n`)
    return 1
  }
}
