/** Which processes the machine runs. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Those that live (no zombies) and have a text among their arguments, as `PID ARGUMENTS`. */
export async function processesWith(text: string): Promise<string[]> {
  const { stdout } = await run('ps', ['-eww', '-o', 'stat=,pid=,args='])
  const lines = stdout.split('\n').filter((line) => line.includes(text) && !/^\s*Z/.test(line))
  return lines.map((line) => line.replace(/^\s*\S+\s+/, ''))
}
