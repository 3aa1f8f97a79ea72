/** Reads the kernel's counters of a process. */
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'

let ticksPerSecond: number | undefined

/**
 * Returns the milliseconds of CPU time of a process and of those of its children that have ended.
 * @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html fields 14 to 17
 */
export async function cpuTime(pid: number): Promise<number> {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The program's name, in parentheses, may contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return (ticks * 1000) / ticksPerSecond
}

/**
 * Returns the bytes that were read with read(2) and the like by a process and its ended children.
 * @see https://man7.org/linux/man-pages/man5/proc_pid_io.5.html rchar
 */
export async function bytesRead(pid: number): Promise<number> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8')
  const [, bytes] = /^rchar: (\d+)$/m.exec(io) ?? []
  if (bytes === undefined) throw new Error(`/proc/${pid}/io has no rchar`)
  return Number(bytes)
}
