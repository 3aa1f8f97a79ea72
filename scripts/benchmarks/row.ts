/**
 * One line of the table: figures of Slipway, of what it is compared with (its peer), and the goal.
 *
 *     run 1   Slipway 620 ms   peer 410 ms   1.51
 *     run 2   Slipway 700 ms   peer 480 ms   1.46    (the machine was busier, so both took longer)
 *     run 3   Slipway 615 ms   peer 400 ms   1.54
 *
 * Slipway and its peer take turns, and the ratio is the median of the ratios of the runs, 1.51. So it does
 * not depend on how busy the machine is.
 */
import { type Spread, spreadOf } from './statistics.ts'

/** `part` is a fraction of a whole, 0 to 1. */
export type Unit = 'ms' | 'µs' | 'MB/s' | 'requests/s' | 'MiB' | 'MB' | 'bytes' | 'part'

export interface Peer {
  readonly what: string
  readonly spread: Spread
}

export interface Row {
  readonly what: string
  readonly unit: Unit
  readonly slipway: Spread
  readonly peer?: Peer
  /** Slipway's figure divided by the peer's figure of the same run. */
  readonly ratio?: Spread
  readonly goal?: { readonly text: string; readonly met: boolean }
}

export interface NamedRow extends Row {
  /** Name of the benchmark. */
  readonly name: string
}

type Figures = Pick<Row, 'slipway' | 'ratio'>

export interface Goal {
  readonly text: string
  readonly isMet: (figures: Figures) => boolean
}

export interface Measured {
  readonly what: string
  readonly unit: Unit
  /** Slipway's figures in the order of the runs. */
  readonly runs: readonly number[]
  /** Figures of the peer in the same runs. */
  readonly peer?: { readonly what: string; readonly runs: readonly number[] }
  readonly goal?: Goal
}

/** @throws RangeError if there are no runs, or if the peer has another number of runs */
export function rowOf({ what, unit, runs, peer, goal }: Measured): Row {
  const figures = { slipway: spreadOf(runs), ...(peer ? ratioOf(runs, peer.runs) : {}) }
  return {
    what,
    unit,
    ...figures,
    ...(peer ? { peer: { what: peer.what, spread: spreadOf(peer.runs) } } : {}),
    ...(goal ? { goal: { text: goal.text, met: goal.isMet(figures) } } : {}),
  }
}

function ratioOf(runs: readonly number[], peerRuns: readonly number[]): { ratio: Spread } {
  if (runs.length !== peerRuns.length) {
    throw new RangeError(`${runs.length} runs of Slipway, but ${peerRuns.length} of the peer`)
  }
  return { ratio: spreadOf(runs.map((run, index) => run / (peerRuns[index] ?? Number.NaN))) }
}

/** Goal for the median of the ratios. */
export function atMostTimes(limit: number, text = `at most ${limit} ×`): Goal {
  return { text, isMet: ({ ratio }) => ratio !== undefined && ratio.median <= limit }
}

/** Goal for the median of the ratios. */
export function atLeastTimes(limit: number): Goal {
  const text = `at least ${limit.toFixed(1)} ×`
  return { text, isMet: ({ ratio }) => ratio !== undefined && ratio.median >= limit }
}

/** Goal for the median. */
export function under(limit: number, unit: Unit): Goal {
  return { text: `under ${limit} ${unit}`, isMet: ({ slipway }) => slipway.median < limit }
}

/** Goal for every run. */
export function alwaysUnder(limit: number, unit: Unit): Goal {
  return { text: `always under ${limit} ${unit}`, isMet: ({ slipway }) => slipway.most < limit }
}

/** Goal for every run. */
export function alwaysAtMost(limit: number, text = `at most ${limit}`): Goal {
  return { text, isMet: ({ slipway }) => slipway.most <= limit }
}
