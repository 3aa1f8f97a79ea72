/** Reads the memory of another process from the kernel. */
import { readFile } from 'node:fs/promises'

/**
 * Returns the resident memory in mebibytes.
 * @see https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
 */
export async function residentMemory(pid: number): Promise<number> {
  return memoryOf(pid, 'VmRSS')
}

/** Returns the peak of the resident memory in mebibytes. */
export async function peakMemory(pid: number): Promise<number> {
  return memoryOf(pid, 'VmHWM')
}

async function memoryOf(pid: number, field: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const [, kibibytes] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status) ?? []
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no ${field}`)
  return Number(kibibytes) / 1024
}
