/** Times and durations for people to read. All arguments are milliseconds. */

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** `40 ms`, `1.2 s`, `38 s`, `2 min 5 s`, `1 h 12 min`. */
export function duration(milliseconds: number): string {
  if (milliseconds < second) return `${Math.max(0, Math.round(milliseconds))} ms`
  if (milliseconds < 9.95 * second) return `${(milliseconds / second).toFixed(1)} s`
  const seconds = Math.round(milliseconds / second)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return joined(`${minutes} min`, seconds % 60, 's')
  return joined(`${Math.floor(minutes / 60)} h`, minutes % 60, 'min')
}

/** `just now`, `40 s ago`, `3 min ago`, `5 h ago`, `2 days ago`. */
export function ago(milliseconds: number): string {
  if (milliseconds < 5 * second) return 'just now'
  if (milliseconds < minute) return `${Math.floor(milliseconds / second)} s ago`
  if (milliseconds < hour) return `${Math.floor(milliseconds / minute)} min ago`
  if (milliseconds < 2 * day) return `${Math.floor(milliseconds / hour)} h ago`
  return `${Math.floor(milliseconds / day)} days ago`
}

function joined(whole: string, rest: number, unit: string): string {
  return rest === 0 ? whole : `${whole} ${rest} ${unit}`
}
