/** The composition root: composes each room, in the order in which they need each other. */
import type { RequestListener } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { StateFolder } from '../adapters/filesystem/state-folder.ts'
import type { Config } from '../config/config.ts'
import type { Log } from '../telemetry/ports.ts'
import { composeBuild } from './build.ts'
import { ServiceEvents } from './events.ts'
import { composeHttp } from './http.ts'
import { composeLayering } from './layering.ts'
import { composeNix, type FoundNix } from './nix.ts'
import { composePrebuild } from './prebuild.ts'
import { composeQueue } from './queue.ts'
import { composeSource } from './source.ts'
import { composeStorage } from './storage.ts'
import { composeMetrics } from './telemetry.ts'

/** Milliseconds that saving pull counts and the last builds may take at the end. */
const flushLimit = 2000
/** Milliseconds after the start: warm requests that arrive right then come first. */
const packerDelay = 1000

export interface Service {
  readonly app: RequestListener
  /** Ends timers, and every process that was started. */
  stop(): Promise<void>
}

/**
 * Composes everything but the listening socket, and waits until it is ready to answer.
 * @param found the result of findNix
 * @throws Failure unavailable: storage, git source or Nix cannot be used
 */
export async function compose(config: Config, log: Log, found: FoundNix): Promise<Service> {
  const events = new ServiceEvents()
  const metrics = composeMetrics()
  const state = await StateFolder.open(config.statePath)
  const { instance } = state
  const recipe = { compression: config.compression, layerBudget: config.layerBudget }

  const nix = await composeNix(config, found, state, log)
  // Awaited below, together with what else takes a while.
  const nixFound = found.version.then((version) => log.info({ nix: version }, 'Nix found'))
  nixFound.catch(() => {})
  const storage = await composeStorage(config.storage, state, events, log)
  const running = composeSource(config, {
    ...{ state, groups: found.groups, storage, events, metrics, log },
  })
  const { source } = running
  const { popularity, planning } = composeLayering(config, recipe, storage, log)
  await Promise.all([nixFound, running.start(), popularity.start()])

  const leases = composeQueue(storage, instance, log)
  const build = composeBuild(config, {
    ...{ nix, storage, source, planning, leases, recipe, events, metrics, log },
  })
  const prebuild = composePrebuild(config, {
    ...{ nix, storage, source: running, planning, build, instance, recipe, events, metrics, log },
  })
  await prebuild.pulls.load()
  prebuild.follow()
  const preparing = setTimeout(() => build.packer.prepare(), packerDelay).unref()

  return {
    app: composeHttp(config, { storage, source, build, prebuild, metrics, log }),
    async stop() {
      clearTimeout(preparing)
      running.stop()
      popularity.stop()
      prebuild.reconciler?.stop()
      prebuild.prebuilds.stop()
      const flushed = [prebuild.pulls, build.journal, planning].map((room) => room.flush())
      await Promise.all([
        found.groups.killAll(),
        build.packer.close(),
        Promise.race([Promise.all([...flushed, leases.close()]), sleep(flushLimit)]),
      ])
      storage.stop()
    },
  }
}
