/** All benchmarks by name. A benchmark's file is loaded when it runs. */
import type { Bench } from './bench.ts'
import type { Row } from './row.ts'
import type { Table } from './table.ts'

/** Rows of the common table, or a table of its own. */
export type Results = Row[] | Table

export interface Benchmark {
  /** Arguments after the name. */
  readonly parameters?: string
  readonly about: string
  /** Runs only if it is named, because it takes long or compares little. */
  readonly onlyByName?: true
  readonly measure: (bench: Bench, args: readonly string[]) => Promise<Results>
}

export const benchmarks: Record<string, Benchmark> = {
  packing: {
    about: 'cold pulls of 305 MB and of 20,000 files, compared with tar and compressors',
    measure: async (bench) => (await import('./packing.ts')).measurePacking(bench),
  },
  paths: {
    about: "a cold pull of 200 store paths, compared with Nix's own time",
    measure: async (bench) => (await import('./paths.ts')).measurePaths(bench),
  },
  clients: {
    about: 'simultaneous cold pulls: 16 of one image, 8 of different images',
    measure: async (bench) => (await import('./clients.ts')).measureClients(bench),
  },
  sharing: {
    about: 'a cold pull of an image that shares its layers with another',
    measure: async (bench) => (await import('./sharing.ts')).measureSharing(bench),
  },
  manifests: {
    about: 'warm manifests by tag, compared with docker-registry',
    measure: async (bench) => (await import('./manifests.ts')).measureManifests(bench),
  },
  blobs: {
    about: 'blobs of 70 MB, 128 kB and 500 bytes, compared with docker-registry',
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
    about: 'start-up with warm state, compared with a Node that loads koa',
    measure: async (bench) => (await import('./startup.ts')).measureStartup(bench),
  },
  planning: {
    about: 'planning the layers of up to 100,000 store paths',
    measure: async () => (await import('./planning.ts')).measurePlanning(),
  },
  layering: {
    parameters: '[FOLDER PART]',
    about: 'MB that a new release costs clients, by layering scheme',
    onlyByName: true,
    measure: async (_, args) => (await import('./layering.ts')).measureLayering(args),
  },
  bucket: {
    about: 'requests to a bucket by kind, and a large upload compared with curl',
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
    about: 'webhook → 20 images ready, of which one changed, compared with nix-build',
    onlyByName: true,
    measure: async (bench) => (await import('./prebuild.ts')).measurePrebuild(bench),
  },
  webhooks: {
    about: 'response times of 1,000 webhooks while a fetch hangs',
    onlyByName: true,
    measure: async (bench) => (await import('./webhooks.ts')).measureWebhooks(bench),
  },
  refs: {
    parameters: '[COUNT]',
    about: 'a repository with 20,000 tags, compared with one with a single tag',
    onlyByName: true,
    measure: async (bench, args) => (await import('./refs.ts')).measureRefs(bench, args),
  },
}
