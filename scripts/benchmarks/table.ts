/** Formats tables in Markdown, for the terminal and the README. */
import type { NamedRow, Unit } from './row.ts'
import type { Spread } from './statistics.ts'

/** Cells without units; the headings name the units. */
export interface Table {
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** Returns the common table of all rows. */
export function tableOf(rows: readonly NamedRow[]): Table {
  return {
    header: ['row', 'what', 'Slipway', 'compared with', 'ratio', 'goal', 'met'],
    rows: rows.map(cellsOf),
  }
}

export function markdown({ header, rows }: Table): string {
  const lines = [header, ...rows].map((cells) => cells.map(escapeCell))
  const widths = header.map((_, column) => {
    return Math.max(...lines.map((cells) => cells[column]?.length ?? 0))
  })
  const [first = [], ...rest] = lines
  const rule = widths.map((width) => '-'.repeat(width))
  return [first, rule, ...rest]
    .map((cells) => {
      const padded = cells.map((cell, column) => cell.padEnd(widths[column] ?? 0))
      return `| ${padded.join(' | ')} |\n`
    })
    .join('')
}

function cellsOf({ name, what, unit, slipway, peer, ratio, goal }: NamedRow): string[] {
  return [
    name,
    what,
    spreadText(slipway, unit),
    peer ? `${peer.what}: ${spreadText(peer.spread, unit)}` : '',
    ratio ? spreadText(ratio, 'part') : '',
    goal?.text ?? '',
    goal === undefined ? '' : goal.met ? 'yes' : '**missed**',
  ]
}

/** Returns median, least and most: `412 (405–460) ms`. */
function spreadText({ median, least, most }: Spread, unit: Unit): string {
  const figure =
    least === most ? number(median) : `${number(median)} (${number(least)}–${number(most)})`
  return unit === 'part' ? figure : `${figure} ${unit}`
}

/** Formats a number with three or more digits: `0.355`, `4.12`, `41.2`, `412`, `41,200`. */
function number(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en')
  const size = Math.abs(value)
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|')
}
