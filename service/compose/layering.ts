/** Composes the layering room: the planner, with the popularity that it reads. */
import { join } from 'node:path'
import { PopularityDocument } from '../adapters/remote/popularity-document.ts'
import type { Config } from '../config/config.ts'
import type { Recipe } from '../image/keys.ts'
import { PlanClosure } from '../layering/plan-closure.ts'
import { noPopularity } from '../layering/popularity.ts'
import type { PopularitySource } from '../layering/ports.ts'
import { knowledgeRecord, planRecord } from '../layering/records.ts'
import type { Log } from '../telemetry/ports.ts'
import type { Storage } from './storage.ts'

interface RunningPopularity extends PopularitySource {
  start(): Promise<void>
  stop(): void
}

export interface Layering {
  readonly popularity: RunningPopularity
  readonly planning: PlanClosure
}

export function composeLayering(
  config: Config,
  recipe: Recipe,
  storage: Storage,
  log: Log,
): Layering {
  const popularity = composePopularity(config, log)
  const planning = new PlanClosure({
    plans: storage.immutableRecords('plans', planRecord),
    knowledge: storage.records('knowledge', knowledgeRecord),
    popularity,
    recipe,
    log,
  })
  return { popularity, planning }
}

function composePopularity({ popularityUrl: url, statePath }: Config, log: Log): RunningPopularity {
  return url === undefined
    ? { current: () => noPopularity, async start() {}, stop() {} }
    : new PopularityDocument({ url, folder: join(statePath, 'popularity'), log })
}
