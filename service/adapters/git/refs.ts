/** Reads the refs of a bare repository. */
import { branchPrefix, tagPrefix } from '../../image/ref-name.ts'
import type { RepositoryRefs } from '../../source/ports.ts'
import type { GitCommands } from './commands.ts'
import { findObjects } from './objects.ts'

const namespaces = [branchPrefix, tagPrefix]

/** Sets the ref that HEAD names. */
export async function setHead(git: GitCommands, ref: string): Promise<void> {
  if ((await readHead(git)) !== ref) await git.run('symbolic-ref', { after: ['HEAD', ref] })
}

/** Returns branches and tags with their commits, and the ref that HEAD names. */
export async function readRefs(git: GitCommands): Promise<RepositoryRefs> {
  const format = '%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)'
  const listing = git.read(['for-each-ref', `--format=${format}`, ...namespaces])
  const [head, listed] = await Promise.all([readHead(git), listing])
  const commits: [ref: string, commit: string][] = []
  const nested: [ref: string, id: string][] = []
  for (const line of listed.split('\n')) {
    const [type, id = '', targetType, target = '', ref] = line.split(' ')
    if (ref === undefined) continue
    if (type === 'commit') commits.push([ref, id])
    else if (targetType === 'commit') commits.push([ref, target])
    // Before 2.45, git follows a tag of a tag by one step only.
    else if (targetType === 'tag') nested.push([ref, id])
  }
  const names = nested.map(([, id]) => `${id}^{commit}`)
  for (const [index, commit] of (await findObjects(git, names)).entries()) {
    const ref = nested[index]?.[0]
    if (ref !== undefined && commit !== undefined) commits.push([ref, commit.id])
  }
  return { commits, head }
}

/**
 * Returns, by full ref name, the date of the tag, or of the commit if the tag has none: milliseconds since
 * 1970.
 */
export async function readDates(git: GitCommands): Promise<ReadonlyMap<string, number>> {
  const format = '--format=%(creatordate:unix) %(*committerdate:unix) %(refname)'
  const listed = await git.read(['for-each-ref', format, ...namespaces])
  const dates = new Map<string, number>()
  for (const line of listed.split('\n')) {
    const [created, peeled, ref] = line.split(' ')
    const seconds = created || peeled
    if (ref && seconds) dates.set(ref, Number(seconds) * 1000)
  }
  return dates
}

async function readHead(git: GitCommands): Promise<string> {
  return (await git.read(['symbolic-ref', 'HEAD'])).trimEnd()
}
