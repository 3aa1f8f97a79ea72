/**
 * Failures `unavailable` of git commands. A message has the last lines that git printed, without secrets. There
 * is no cause, because an error may quote arguments, and so the URL.
 */
import { Failure } from '../../image/errors.ts'
import { scrubberFor } from '../../text/scrub.ts'

/** Lines of stderr in a message. Git's advice about a lock file has seven. */
const messageLines = 8

export class GitFailures {
  readonly #scrub: (text: string) => string

  /** @param url of the remote; its credentials are removed from all messages */
  constructor(url: string) {
    this.#scrub = scrubberFor(url)
  }

  create(message: string): Failure {
    return new Failure('unavailable', this.#scrub(message).trim())
  }

  /** @param end exit code, or the signal that ended the command */
  ofExit(command: string, end: number | string | undefined, stderr: string): Failure {
    const how = typeof end === 'number' ? `exit code ${end}` : end
    const lines = lastLines(stderr)
    return this.create(`git ${command} failed (${how})${lines && `: ${lines}`}`)
  }

  /** @param limit milliseconds */
  ofTimeout(command: string, which: 'timeout' | 'idle', limit = 0, stderr = ''): Failure {
    const what = which === 'idle' ? 'printed nothing for' : 'did not end within'
    const lines = lastLines(stderr)
    return this.create(`git ${command} ${what} ${limit / 1000} s and was stopped. ${lines}`)
  }
}

/** Returns the end of stderr on one line, without progress, updated refs and control characters. */
function lastLines(stderr: string): string {
  return stderr
    .split(/[\r\n]+/)
    .map((line) => line.replaceAll(/\p{Cc}+/gu, ' ').trimEnd())
    .filter((line) => line !== '' && !/^(?:From | [ *+=t-] |.*: +\d+%|.*: \d+, done)/.test(line))
    .slice(-messageLines)
    .join('; ')
}
