/** All wrong settings, reported at once. */

/** One wrong setting. */
export interface SettingFailure {
  readonly variable: string
  /** Absent if the setting has no value, or may hold a secret. */
  readonly value?: string
  /** Continues a sentence that begins with the setting: `must be …`, `is not set: …`. */
  readonly message: string
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly failures: readonly SettingFailure[]

  constructor(failures: readonly SettingFailure[]) {
    super(failures.map(describe).join('\n'))
    this.failures = failures
  }
}

function describe({ variable, value, message }: SettingFailure): string {
  return value === undefined ? `${variable}: ${message}` : `${variable}="${value}": ${message}`
}
