/** What the refs of a bare repository say. */
import type { RepositoryRefs } from '../../source/ports.ts'
import type { GitCommands } from './commands.ts'

const namespaces = ['refs/heads/', 'refs/tags/']

/** Has HEAD name a ref. */
export async function setHead(git: GitCommands, ref: string): Promise<void> {
  if ((await git.read(['symbolic-ref', 'HEAD'])) === ref) return
  await git.read(['symbolic-ref', 'HEAD', ref])
}

/** Branches and tags with their commits, and what HEAD names. */
export async function readRefs(git: GitCommands): Promise<RepositoryRefs> {
  const head = await git.read(['symbolic-ref', 'HEAD'])
  const format = '%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)'
  const lines = await git.read(['for-each-ref', `--format=${format}`, ...namespaces])
  const commits: [ref: string, commit: string][] = []
  const nested: [ref: string, id: string][] = []
  for (const line of lines.split('\n')) {
    const [type, id = '', targetType, target = '', ref] = line.split(' ')
    if (ref === undefined) continue
    if (type === 'commit') commits.push([ref, id])
    else if (targetType === 'commit') commits.push([ref, target])
    // Before 2.45 git follows a tag of a tag by one step only.
    else if (targetType === 'tag') nested.push([ref, id])
  }
  const peeled = await typesAndIds(
    git,
    nested.map(([, id]) => `${id}^{commit}`),
  )
  for (const [index, [type, commit]] of peeled.entries()) {
    const ref = nested[index]?.[0]
    if (ref !== undefined && type === 'commit') commits.push([ref, commit])
  }
  return { commits, head }
}

/** Full ref name → when its tag was made, else its commit; milliseconds since 1970. */
export async function readDates(git: GitCommands): Promise<ReadonlyMap<string, number>> {
  const format = '--format=%(creatordate:unix) %(*committerdate:unix) %(refname)'
  const lines = await git.read(['for-each-ref', format, ...namespaces])
  const dates = new Map<string, number>()
  for (const line of lines.split('\n')) {
    const [created, peeled, ref] = line.split(' ')
    const seconds = created || peeled
    if (ref && seconds) dates.set(ref, Number(seconds) * 1000)
  }
  return dates
}

/** Type and full id of each object; another type for one that there is not. */
export async function typesAndIds(
  git: GitCommands,
  objects: readonly string[],
): Promise<[type: string, id: string][]> {
  if (objects.length === 0) return []
  const input = objects.map((object) => `${object}\n`).join('')
  const lines = await git.read(['cat-file', '--batch-check=%(objecttype) %(objectname)'], input)
  return lines.split('\n').map((line) => {
    const [type = '', id = ''] = line.split(' ')
    return [type, id]
  })
}
