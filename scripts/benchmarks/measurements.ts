/** What can be measured, by name. Each is loaded when it is wanted. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import type { Row } from './row.ts'
import type { Table } from './table.ts'

/** Rows of the one table, or a table of its own. */
export type Found = Row[] | Table

export interface Measurement {
  /** What may stand after the name. */
  readonly parameters?: string
  readonly about: string
  /** Takes so long, or so little of it is compared, that it is measured by name only. */
  readonly onlyByName?: true
  readonly measure: (bench: Bench, args: readonly string[]) => Promise<Found>
}

export const measurements: Record<string, Measurement> = {
  packing: {
    about: 'cold pulls of 305 MB and of 20,000 files, beside tar and its like',
    measure: async (bench) => (await import('./packing.ts')).measurePacking(bench),
  },
  paths: {
    about: "a cold pull of 200 store paths, beside Nix's own time",
    measure: async (bench) => (await import('./paths.ts')).measurePaths(bench),
  },
  clients: {
    about: 'cold pulls at once: 16 of one image, 8 of different ones',
    measure: async (bench) => (await import('./clients.ts')).measureClients(bench),
  },
  sharing: {
    about: 'a second image that shares its layers with a first',
    measure: async (bench) => (await import('./sharing.ts')).measureSharing(bench),
  },
  manifests: {
    about: 'warm manifests by tag, beside docker-registry',
    measure: async (bench) => (await import('./manifests.ts')).measureManifests(bench),
  },
  blobs: {
    about: 'blobs of 70 MB, 128 kB and 500 bytes, beside docker-registry',
    measure: async (bench) => (await import('./blobs.ts')).measureBlobs(bench),
  },
  busy: {
    about: 'warm manifests while two images of 1 GB are packed',
    measure: async (bench) => (await import('./busy.ts')).measureBusy(bench),
  },
  memory: {
    about: 'memory while 1 GB is packed, and while 200 clients read 1 GB slowly',
    measure: async (bench) => (await import('./memory.ts')).measureMemory(bench),
  },
  startup: {
    about: 'start-up on warm state, beside a Node that loads koa',
    measure: async (bench) => (await import('./startup.ts')).measureStartup(bench),
  },
  ...whenThere('planning.ts', {
    planning: {
      about: 'planning the layers of up to 100,000 store paths',
      measure: () => call('planning.ts', 'measurePlanning'),
    },
  }),
  ...whenThere('layering.ts', {
    layering: {
      parameters: '[FOLDER PART]',
      about: 'what a new release costs clients, by how layers are cut',
      onlyByName: true,
      measure: (_, args) => call('layering.ts', 'measureLayering', args),
    },
  }),
  bucket: {
    about: 'requests to a bucket by kind, and a large upload beside curl',
    onlyByName: true,
    measure: async (bench) => (await import('./bucket.ts')).measureBucket(bench),
  },
  pull: {
    parameters: '[IMAGE…]',
    about: 'cold and warm pulls of images of the example package set',
    onlyByName: true,
    measure: async (bench, args) => (await import('./pull.ts')).measurePull(bench, args),
  },
  prebuild: {
    about: 'webhook → 20 images ready of which one changed, beside nix-build',
    onlyByName: true,
    measure: async (bench) => (await import('./prebuild.ts')).measurePrebuild(bench),
  },
  webhooks: {
    about: 'answers to 1,000 webhooks while a fetch hangs',
    onlyByName: true,
    measure: async (bench) => (await import('./webhooks.ts')).measureWebhooks(bench),
  },
  refs: {
    parameters: '[COUNT]',
    about: 'a repository with 20,000 tags, beside one with a single tag',
    onlyByName: true,
    measure: async (bench, args) => (await import('./refs.ts')).measureRefs(bench, args),
  },
}

/** Calls what a file exports that the compiler need not know. */
async function call(file: string, name: string, ...args: unknown[]): Promise<Found> {
  return (await import(join(import.meta.dirname, file)))[name](...args)
}

function whenThere(file: string, found: typeof measurements): typeof measurements {
  return existsSync(join(import.meta.dirname, file)) ? found : {}
}
