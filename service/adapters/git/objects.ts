/**
 * Reads objects of a repository, many with one git process.
 * @see https://git-scm.com/docs/git-cat-file#_batch_output
 */
import { randomUUID } from 'node:crypto'
import type { GitCommands } from './commands.ts'

export interface GitObject {
  /** `commit`, `tree`, `blob` or `tag`. */
  readonly type: string
  /** Full id. */
  readonly id: string
  /** Bytes. */
  readonly size: number
}

/**
 * Looks objects up.
 * @param names as git understands them, without line breaks: `ID^{commit}`, `COMMIT:PATH`
 * @returns for each name its object; undefined if there is none
 */
export async function findObjects(
  git: GitCommands,
  names: readonly string[],
): Promise<(GitObject | undefined)[]> {
  if (names.length === 0) return []
  const format = '--batch-check=%(objecttype) %(objectname) %(objectsize)'
  const found = (await git.read(['cat-file', format], linesOf(names))).split('\n')
  return names.map((_, index) => {
    // The line of a name without an object is `NAME missing` or `NAME ambiguous`.
    const [, type, id, size] = /^([a-z]+) ([0-9a-f]+) (\d+)$/.exec(found[index] ?? '') ?? []
    return type && id ? { type, id, size: Number(size) } : undefined
  })
}

/**
 * Reads blobs as text.
 * @param ids full ids of blobs, each once
 * @returns the texts by id
 * @throws Failure unavailable, also if one of the blobs is missing
 */
export async function readBlobs(
  git: GitCommands,
  ids: readonly string[],
): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  if (ids.length === 0) return texts
  // A line that no blob contains stands before each text: `MARK ID`.
  const mark = randomUUID()
  const output = await git.read(['cat-file', `--batch=${mark} %(objectname)`], linesOf(ids))
  for (const part of output.split(`${mark} `).slice(1)) {
    const start = part.indexOf('\n') + 1
    texts.set(part.slice(0, start - 1), part.slice(start, -1))
  }
  if (texts.size < ids.length) throw git.failure('git cat-file: a blob is missing')
  return texts
}

function linesOf(names: readonly string[]): string {
  return names.map((name) => `${name}\n`).join('')
}
