/** What a process has used so far, as the kernel counts it. */
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'

let ticksPerSecond: number | undefined

/**
 * Milliseconds of processor time of a process, and of those that it has started and that have ended.
 * @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html fields 14 to 17
 */
export async function cpuTime(pid: number): Promise<number> {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name of the program, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return (ticks * 1000) / ticksPerSecond
}

/**
 * Bytes that a process, and those that it has started and that have ended, have asked the kernel to read.
 * @see https://man7.org/linux/man-pages/man5/proc_pid_io.5.html rchar
 */
export async function bytesRead(pid: number): Promise<number> {
  const io = await readFile(`/proc/${pid}/io`, 'utf8')
  const [, bytes] = /^rchar: (\d+)$/m.exec(io) ?? []
  if (bytes === undefined) throw new Error(`/proc/${pid}/io has no rchar`)
  return Number(bytes)
}
