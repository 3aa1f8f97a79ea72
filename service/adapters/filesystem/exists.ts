/** Whether files are there and can be read. */
import { accessSync, constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { messageOf } from '../../image/errors.ts'

/** Whether there is such a file or folder. @param mode what else must be allowed: `constants.X_OK` */
export function exists(path: string, mode?: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}

/** Returns why a file cannot be read, or undefined if it can. */
export function readFault(file: string): string | undefined {
  try {
    accessSync(file, constants.R_OK)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}
