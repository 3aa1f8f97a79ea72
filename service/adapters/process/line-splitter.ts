/** Most characters of a line: a longer line is cut, so that it does not fill the memory. */
const longestLine = 1024 * 1024

/** Splits text that arrives in pieces into lines, which end with LF or CRLF. */
export class LineSplitter {
  readonly #onLine: (line: string) => void
  #rest = ''

  /** @param onLine called with each line, without its line break, as soon as it is complete */
  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > longestLine) {
      lines.push(this.#rest)
      this.#rest = ''
    }
    for (const line of lines) this.#onLine(line.replace(/\r$/, ''))
  }

  /** Passes the last line on, if the text does not end with a line break. */
  end(): void {
    if (this.#rest !== '') this.#onLine(this.#rest)
    this.#rest = ''
  }
}
