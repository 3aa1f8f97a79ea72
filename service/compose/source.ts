/** Composes the source room: the git repository, channel or folder that the package set comes from. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { HttpChannelServer } from '../adapters/channels/channel-server.ts'
import { readFailure } from '../adapters/filesystem/file-access.ts'
import type { StateFolder } from '../adapters/filesystem/state-folder.ts'
import { withoutCredentials } from '../adapters/git/credentials.ts'
import { GitMirror } from '../adapters/git/mirror.ts'
import type { ProcessGroups } from '../adapters/process/process-groups.ts'
import type { Config } from '../config/config.ts'
import type { ChannelConfig } from '../config/source-config.ts'
import { ChannelSource } from '../source/channel-source.ts'
import { GitSource } from '../source/git-source.ts'
import { channelRecord } from '../source/nixpkgs-commits.ts'
import { PathSource } from '../source/path-source.ts'
import type { CommittedFiles, RefSource, Source, SourceMetrics } from '../source/ports.ts'
import type { Log } from '../telemetry/ports.ts'
import type { ServiceEvents } from './events.ts'
import type { Storage } from './storage.ts'

interface Tools {
  readonly state: StateFolder
  readonly groups: ProcessGroups
  readonly storage: Storage
  readonly events: ServiceEvents
  readonly metrics: SourceMetrics
  readonly log: Log
}

/** Source with its start and stop. */
export interface RunningSource {
  readonly source: Source
  /** Refs and files that prebuilds need; absent for a source without refs. */
  readonly git?: { readonly source: RefSource; readonly repository: CommittedFiles }
  start(): Promise<void>
  stop(): void
}

export function composeSource(config: Config, tools: Tools): RunningSource {
  const { source } = config
  switch (source.kind) {
    case 'path':
      return { source: new PathSource(source.folder, readFailure), async start() {}, stop() {} }
    case 'channel':
      return composeChannel(source, config, tools)
    case 'git':
      return composeGit(source.url, config, tools)
  }
}

function composeChannel(
  channel: ChannelConfig,
  { statePath }: Config,
  { state, groups, storage, log }: Tools,
): RunningSource {
  const server = new HttpChannelServer({
    ...channel,
    folder: join(statePath, 'nixpkgs'),
    temporaryFolder: state.temporary,
    groups,
  })
  const records = storage.records('channels', channelRecord)
  const source = new ChannelSource({ channel: channel.channel, server, records, log })
  return { source, start: () => source.start(), stop: () => server.close() }
}

function composeGit(
  url: string,
  { statePath, pollInterval }: Config,
  { groups, events, metrics, log }: Tools,
): RunningSource {
  // Each URL has a mirror of its own. Changed credentials keep the mirror.
  const name = createHash('sha256').update(withoutCredentials(url)).digest('hex').slice(0, 16)
  const repository = new GitMirror({ url, folder: join(statePath, 'mirrors', name), groups, log })
  const onRefs = () => events.emit('refs-changed')
  const source = new GitSource({ repository, pollInterval, metrics, log, onRefs })
  return {
    source,
    git: { source, repository },
    start: () => source.start(),
    stop: () => source.stop(),
  }
}
