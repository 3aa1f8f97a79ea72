/** What a measurement gives: a header whose cells name their units, and rows. */
export interface Table {
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** The table with tabs between cells, for a person and for a spreadsheet. */
export function tabSeparated({ header, rows }: Table): string {
  return [header, ...rows].map((cells) => `${cells.join('\t')}\n`).join('')
}
