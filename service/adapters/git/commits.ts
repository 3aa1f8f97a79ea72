/** Finds commits that branches and tags lead to. */
import { isFullCommitId } from '../../image/reference.ts'
import type { GitCommands } from './commands.ts'
import { findObjects } from './objects.ts'

/** Returns whether a full id is the id of a commit that a branch or tag leads to. */
export async function isReachable(git: GitCommands, commit: string): Promise<boolean> {
  if (!isFullCommitId(commit)) return false
  const id = commit.toLowerCase()
  const [object] = await findObjects(git, [id])
  // The id is compared because git also accepts the name of a ref, which may look like an id.
  if (object?.type !== 'commit' || object.id !== id) return false
  // With --count git always prints something. For a command that prints nothing simple-git waits 50 ms more.
  const args = ['rev-list', '--count', '--max-count=1', id, '--not', '--all']
  return (await git.read(args)).trimEnd() === '0'
}

/** Returns the full ids of the reachable commits whose id begins with these hex digits, sorted. */
export async function commitsStartingWith(git: GitCommands, prefix: string): Promise<string[]> {
  // Git needs at least 4 digits.
  if (!/^[0-9a-f]{4,64}$/i.test(prefix)) return []
  const objects = await git.read(['rev-parse', `--disambiguate=${prefix.toLowerCase()}`])
  const ids = objects.split('\n').filter((id) => id !== '')
  const reachable = await Promise.all(ids.map((id) => isReachable(git, id)))
  return ids.filter((_, index) => reachable[index]).sort()
}
