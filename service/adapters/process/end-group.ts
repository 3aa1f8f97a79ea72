/** Ends the processes of a process group. @see https://man7.org/linux/man-pages/man5/proc.5.html */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Milliseconds between two checks for living members. */
const pollInterval = 25

/**
 * Ends what is left of a process group after its first process has ended. The id of such a group is not
 * reused as long as it has a member.
 * @param grace milliseconds after which a member that ignores SIGTERM gets SIGKILL
 */
export async function endGroup(group: number, grace: number): Promise<void> {
  if (!hasMembers(group)) return
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    signalGroup(group, signal)
    if (await isEmptyWithin(group, grace)) return
  }
}

async function isEmptyWithin(group: number, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds
  while (performance.now() < deadline) {
    await delay(pollInterval)
    if (!hasMembers(group)) return true
  }
  return false
}

/** Returns whether a process of the group runs. Zombies do not count. */
function hasMembers(group: number): boolean {
  return signalGroup(group, 0) && !hasOnlyZombies(group)
}

/**
 * A zombie stays until its parent reaps it. Process 1 reaps orphans, but perhaps late; in a container, process 1
 * may be this service, which never reaps. Without /proc, zombies count as running.
 */
function hasOnlyZombies(group: number): boolean {
  try {
    const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    return !processes.some((id) => {
      // `PID (NAME) STATE PARENT GROUP …`; the name may contain spaces and brackets.
      const fields = statusOf(id)
        .replace(/^.*\) /s, '')
        .split(' ')
      return fields[0] !== 'Z' && fields[2] === String(group)
    })
  } catch {
    return false
  }
}

/** Returns the line of /proc/PID/stat, or an empty text if the process has ended. */
function statusOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/stat`, 'latin1')
  } catch {
    return ''
  }
}

/** Signals all processes of the group. Returns whether there was one that could be signalled. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal)
  } catch {
    // ESRCH: the group has no process. EPERM: it has none that this service may signal.
    return false
  }
}
