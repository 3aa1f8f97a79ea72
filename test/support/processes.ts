/** Finds processes of the machine. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Lists running processes (no zombies) whose arguments contain a text, as `PID ARGUMENTS`. */
export async function processesWith(text: string): Promise<string[]> {
  const { stdout } = await run('ps', ['-eww', '-o', 'stat=,pid=,args='])
  const lines = stdout.split('\n').filter((line) => line.includes(text) && !/^\s*Z/.test(line))
  return lines.map((line) => line.replace(/^\s*\S+\s+/, ''))
}
