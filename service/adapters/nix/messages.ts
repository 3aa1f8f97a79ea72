/** Reading what Nix prints. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours begin with ESC
const colours = /\u001b\[[0-9;]*m/g

/** Lines of an error that are shown: the last ones say what, the first ones say through what. */
const shownLines = 20

export function withoutColours(text: string): string {
  return text.replace(colours, '')
}

/** Nix's error out of what it wrote to stderr, without the word `error:`, hints and warnings. */
export function nixError(stderr: string): string {
  const lines = withoutColours(stderr).split('\n')
  const start = lines.findIndex((line) => line.startsWith('error:'))
  const message = (start === -1 ? lines : lines.slice(start)).filter(
    (line) => !/^\(use '--show-trace'/.test(line) && !/^(warning|trace):/.test(line),
  )
  const text = message
    .join('\n')
    .trim()
    .replace(/^error:\s*/, '')
  const shown = text.split('\n').slice(0, shownLines).join('\n')
  return shown === '' ? 'Nix gave no reason' : shown
}
