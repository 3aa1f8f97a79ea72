/** What is wrong with the settings, all of it at once. */

/** One wrong setting. */
export interface Mistake {
  readonly variable: string
  /** As it was set; absent when it was not, or may hold a secret. */
  readonly value?: string
  /** What would be right. */
  readonly expected: string
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly mistakes: readonly Mistake[]

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(describeMistake).join('\n'))
    this.mistakes = mistakes
  }
}

function describeMistake({ variable, value, expected }: Mistake): string {
  return value === undefined
    ? `${variable}: ${expected}`
    : `${variable}="${value}": must be ${expected}`
}
