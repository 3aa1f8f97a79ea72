/** Composition root: composes each room after the rooms that it uses. */
import type { RequestListener } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { StateFolder } from '../adapters/filesystem/state-folder.ts'
import type { Config } from '../config/config.ts'
import type { Log } from '../telemetry/ports.ts'
import { composeBuild, composePull } from './build.ts'
import { ServiceEvents } from './events.ts'
import { composeHttp } from './http.ts'
import { composeLayering } from './layering.ts'
import { composeNix } from './nix.ts'
import { composePrebuild } from './prebuild.ts'
import { composeQueue } from './queue.ts'
import { composeSource } from './source.ts'
import { composeStorage } from './storage.ts'
import { composeMetrics } from './telemetry.ts'

/**
 * Most milliseconds that `stop` waits until the running builds have ended, and then until pull counts, the journal and
 * the layer knowledge are saved.
 */
const flushLimit = 2000
/** Milliseconds before the first program runs: loading execa takes 60 ms, in which no request is answered. */
const nixDelay = 100
/** Milliseconds before the packer starts its threads, so that they do not delay the first requests. */
const packerDelay = 1000

export interface Service {
  readonly app: RequestListener
  /**
   * Runs Nix for the first time. A stored image is answered without Nix, so the service answers before that.
   * @throws Failure unavailable, if Nix does not work
   */
  checkNix(): Promise<void>
  /** Stops all timers, ends all processes that the service started, and saves counts, builds and knowledge. */
  stop(): Promise<void>
}

/**
 * Composes everything but the listening socket, and waits until the service can answer requests.
 * @throws Failure unavailable, if the storage, the git source or Nix cannot be used
 */
export async function compose(config: Config, log: Log): Promise<Service> {
  const events = new ServiceEvents()
  const metrics = composeMetrics()
  const state = await StateFolder.open(config.statePath)
  const { instance } = state
  const recipe = { compression: config.compression, layerBudget: config.layerBudget }

  const nix = await composeNix(config, state, log)
  const storage = await composeStorage(config.storage, state, events, log)
  const running = composeSource(config, {
    state,
    groups: nix.groups,
    storage,
    events,
    metrics,
    log,
  })
  const { source } = running
  const { popularity, planning } = composeLayering(config, recipe, storage, log)
  await Promise.all([running.start(), popularity.start()])

  const leases = composeQueue(storage, instance, log)
  const build = composeBuild(config, {
    nix,
    storage,
    source,
    planning,
    leases,
    recipe,
    metrics,
    log,
  })
  const prebuild = composePrebuild(config, {
    nix,
    storage,
    source: running,
    planning,
    build,
    instance,
    recipe,
    events,
    metrics,
    log,
  })
  const onBuild = prebuild.queue.take.bind(prebuild.queue)
  const pull = composePull(config, { storage, source, build, recipe, onBuild, metrics })
  await prebuild.pulls.load()
  prebuild.follow()
  const preparing = setTimeout(() => build.packer.prepare(), packerDelay).unref()

  return {
    app: composeHttp(config, { storage, source, build, pull, prebuild, metrics, log }),
    async checkNix() {
      await sleep(nixDelay)
      await nix.check()
    },
    async stop() {
      clearTimeout(preparing)
      running.stop()
      popularity.stop()
      prebuild.reconciler?.stop()
      prebuild.queue.stop()
      await Promise.all([nix.groups.killAll(), build.packer.close()])
      // Without their programs, running builds fail now. The journal is saved after they have noted that.
      await Promise.race([build.builds.ended(), sleep(flushLimit)])
      const saved = [prebuild.pulls, build.journal, planning].map((unsaved) => unsaved.flush())
      await Promise.race([Promise.all([...saved, leases.close()]), sleep(flushLimit)])
      storage.stop()
    },
  }
}
