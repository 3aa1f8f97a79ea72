/** Entries of the journal of builds. */
import type { BuildEntry } from '../../service/build/ports.ts'

const commit = '3fa9c1d2b7e4'.padEnd(40, '0')
let made = 0

/** Returns a successful build with these changes. Each build starts a second after the one before it. */
export function buildEntryOf(entry: Partial<BuildEntry> = {}): BuildEntry {
  made += 1
  const time = Date.UTC(2026, 0, 1) + made * 1000
  const startedAt = new Date(time).toISOString()
  const stamp = startedAt.slice(0, 19).replace(/[-:]/g, '')
  return {
    id: `${stamp}Z-${made.toString(16).padStart(8, '0')}`,
    image: 'custom-service',
    revision: commit,
    ref: 'refs/tags/release-v2',
    cause: 'prebuild',
    startedAt,
    endedAt: new Date(time + 6500).toISOString(),
    outcome: 'built',
    stages: { evaluate: 420, realise: 3120 },
    ...entry,
  }
}
