/** Reads messages of Nix, and removes everything that is not safe to show to any client. */
import { scrub } from '../../text/scrub.ts'

/**
 * Control characters. First the sequences of ECMA-48 in their 7-bit and 8-bit forms: control sequences
 * (colours), strings (titles, links) and other escapes. Then single ones, except tab and newline.
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

/** Matches a derivation in messages of Nix: `'/nix/store/…-git.drv!out'`, or `^out` in newer versions. */
export const quotedDerivation = String.raw`'(?<derivation>/[^'!^]+\.drv)`

/** Most lines of an error that are shown. */
const mostLines = 20

/** Removes credentials, and control characters, which could control a client's terminal. */
export function safeText(text: string): string {
  // In this order: a colour in the middle of a URL would hide its credentials from `scrub`.
  return scrub(text.replace(controls, ''))
}

/** Returns the error that Nix wrote to stderr, as safe text, without `error:`, hints, warnings and traces. */
export function nixError(stderr: string): string {
  const lines = safeText(stderr).split('\n')
  const start = lines.findIndex((line) => line.startsWith('error:'))
  const text = (start === -1 ? lines : lines.slice(start))
    .filter((line) => !/^\(use '--show-trace'|^(warning|trace):/.test(line))
    .join('\n')
    .trim()
    .replace(/^error:\s*/, '')
  const shown = text.split('\n').slice(0, mostLines).join('\n')
  return shown === '' ? 'Nix printed no error' : shown
}
