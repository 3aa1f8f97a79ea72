/** Reading what Nix prints, and what is shown of it: to clients who may be anybody. */
import { scrub } from '../../text/scrub.ts'

/**
 * ECMA-48, in its 7-bit and 8-bit forms: control sequences (colours), strings (titles, links), and the
 * other escapes. Then all that is left of controls but tab and newline.
 */
const controls = new RegExp(
  [
    String.raw`(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]`,
    String.raw`(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x08\x0a-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)`,
    String.raw`\x1b[ -/]*[0-~]`,
    String.raw`[\x00-\x08\x0b-\x1f\x7f-\x9f]`,
  ].join('|'),
  'g',
)

/** Lines of an error that are shown: the last ones say what, the first ones say through what. */
const shownLines = 20

/** Text as it may be shown and logged: without what would steer a terminal, and without credentials. */
export function shownText(text: string): string {
  // In this order: a colour in the middle of a URL would hide its credentials from the scrub.
  return scrub(text.replace(controls, ''))
}

/**
 * Nix's error out of what it wrote to stderr, as `shownText`, without the word `error:`,
 * hints and warnings.
 */
export function nixError(stderr: string): string {
  const lines = shownText(stderr).split('\n')
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
