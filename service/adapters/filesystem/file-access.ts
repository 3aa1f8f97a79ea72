/** Access to files that may be missing. */
import { accessSync, constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { messageOf } from '../../image/errors.ts'

/** Returns whether a file or folder exists. @param mode further permissions to check: `constants.X_OK` */
export function exists(path: string, mode?: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}

/** Returns the failure of reading a file, or undefined if it can be read. */
export function readFailure(file: string): string | undefined {
  try {
    accessSync(file, constants.R_OK)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** Returns undefined in place of the error of an operation on a missing file. */
export async function undefinedIfMissing<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
