/** Composition: where the package set comes from. */

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { HttpChannelServer } from '../adapters/channels/channel-server.ts'
import { readFault } from '../adapters/filesystem/exists.ts'
import type { StateFolder } from '../adapters/filesystem/state-folder.ts'
import { withoutCredentials } from '../adapters/git/credentials.ts'
import { GitMirror } from '../adapters/git/mirror.ts'
import type { ProcessGroups } from '../adapters/process/process-group.ts'
import { PopularityDocument } from '../adapters/remote/popularity-document.ts'
import type { Config } from '../config/config.ts'
import { noPopularity } from '../layering/popularity.ts'
import { ChannelSource, channelRecord } from '../source/channel-source.ts'
import { GitSource } from '../source/git-source.ts'
import { PathSource } from '../source/path-source.ts'
import type { Source, SourceMetrics } from '../source/ports.ts'
import type { ObjectStore } from '../storage/ports.ts'
import { Records } from '../storage/records.ts'
import type { Log } from '../telemetry/ports.ts'

/** What sources are made with. */
interface Tools {
  readonly state: StateFolder
  readonly groups: ProcessGroups
  readonly store: ObjectStore
  readonly metrics: SourceMetrics
  readonly log: Log
}

/** A source with what starts and ends it. */
interface RunningSource {
  readonly source: Source
  /** What the reconcile loop needs; of a git repository only. */
  readonly git?: {
    readonly source: GitSource
    readonly repository: GitMirror
    /** Has somebody told of each new ref table. */
    onRefs(listener: () => void): void
  }
  start(): Promise<void>
  stop(): void
}

export function composeSource(
  { source, statePath, pollInterval }: Config,
  { state, groups, store, metrics, log }: Tools,
): RunningSource {
  switch (source.kind) {
    case 'path':
      return { source: new PathSource(source.folder, readFault), async start() {}, stop() {} }
    case 'channel': {
      const folder = join(statePath, 'nixpkgs')
      const server = new HttpChannelServer({
        ...source,
        folder,
        temporaryFolder: state.temporary,
        groups,
      })
      const records = new Records(store, 'channels', channelRecord, log)
      const channels = new ChannelSource({ channel: source.channel, server, records, log })
      return { source: channels, start: () => channels.start(), stop: () => server.close() }
    }
    case 'git': {
      // A mirror belongs to one URL: another one starts with a mirror of its own, a new token does not.
      const name = createHash('sha256')
        .update(withoutCredentials(source.url))
        .digest('hex')
        .slice(0, 16)
      const folder = join(statePath, 'mirrors', name)
      const repository = new GitMirror({ url: source.url, folder, groups, log })
      let listener = () => {}
      const git = new GitSource({
        repository,
        pollInterval,
        metrics,
        log,
        onRefs: () => listener(),
      })
      return {
        source: git,
        git: {
          source: git,
          repository,
          onRefs: (told) => {
            listener = told
          },
        },
        start: () => git.start(),
        stop: () => git.stop(),
      }
    }
  }
}

export function composePopularity({ popularityUrl: url, statePath }: Config, log: Log) {
  return url === undefined
    ? { current: () => noPopularity, async start() {}, stop() {} }
    : new PopularityDocument({ url, folder: join(statePath, 'popularity'), log })
}
