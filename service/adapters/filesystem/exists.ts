import { access } from 'node:fs/promises'

/** Whether there is such a file or folder. @param mode what else must be allowed: `constants.X_OK` */
export function exists(path: string, mode?: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}
