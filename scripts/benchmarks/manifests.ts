/** Warm manifests by tag, compared with Debian's docker-registry with the same image. */
import type { Bench } from './bench.ts'
import { BenchService, bytesText, manifestPath } from './bench-service.ts'
import { type Load, load } from './load.ts'
import { atLeastTimes, type Row, rowOf, under } from './row.ts'
import { socketLoad } from './socket-load.ts'

/** Image of 200 store paths in 27 layers. */
const image = 'paths'
const connections = 32
/** Seconds of one run. */
const seconds = 1
const accept = 'application/vnd.oci.image.manifest.v1+json'

/** Results of all runs. */
class Loads {
  readonly runs: Load[] = []

  get rates(): number[] {
    return this.runs.map(({ requestsPerSecond }) => requestsPerSecond)
  }

  get medians(): number[] {
    return this.runs.map(({ p50 }) => p50)
  }
}

export async function measureManifests(bench: Bench): Promise<Row[]> {
  const { signal } = bench
  const packages = await bench.packages()
  await packages.realise([image])
  const registry = await bench.registry()
  await using service = await BenchService.start(bench)
  const { manifest } = await service.pull(image)
  const path = manifestPath(image)
  await registry.copyFrom(service.slipway.registry, `${image}:${path.split('/').at(-1)}`)
  const size = Buffer.byteLength((await service.client.ask({ path })).body)
  const etag = (await service.slipway.fetch(path)).headers.get('etag') ?? ''

  const get = (server: string, options: { connections: number; etag?: string }) => {
    const headers = {
      Accept: accept,
      ...(options.etag === undefined ? {} : { 'If-None-Match': options.etag }),
    }
    return load({ url: server + path, headers, connections: options.connections, seconds, signal })
  }
  const ours = service.slipway.url
  const bySocket = (method: 'GET' | 'HEAD') =>
    socketLoad({ url: ours, path, method, connections, seconds, signal })

  const many = new Loads()
  const manyPeer = new Loads()
  const one = new Loads()
  const onePeer = new Loads()
  const unchanged = new Loads()
  const heads: number[] = []
  const gets: number[] = []
  // Warm up both.
  for (const server of [ours, registry.url]) await get(server, { connections })
  await bench.repeat(async () => {
    manyPeer.runs.push(await get(registry.url, { connections }))
    many.runs.push(await get(ours, { connections }))
    unchanged.runs.push(await get(ours, { connections, etag }))
    one.runs.push(await get(ours, { connections: 1 }))
    onePeer.runs.push(await get(registry.url, { connections: 1 }))
    heads.push(await bySocket('HEAD'))
    gets.push(await bySocket('GET'))
  })
  const what = `warm manifest by tag (${bytesText(size)}, ${manifest.layers.length} layers)`
  return [
    rowOf({
      what: `${what}, ${connections} connections`,
      unit: 'requests/s',
      runs: many.rates,
      peer: { what: 'docker-registry', runs: manyPeer.rates },
      goal: atLeastTimes(10),
    }),
    rowOf({
      what: 'p50 of the warm manifest over one connection',
      unit: 'ms',
      runs: one.medians,
      peer: { what: 'docker-registry', runs: onePeer.medians },
      goal: under(1, 'ms'),
    }),
    rowOf({
      what: `HEAD of the warm manifest, ${connections} connections`,
      unit: 'requests/s',
      runs: heads,
      peer: { what: 'GET by the same client', runs: gets },
      goal: atLeastTimes(1),
    }),
    rowOf({
      what: `If-None-Match → 304, ${connections} connections`,
      unit: 'requests/s',
      runs: unchanged.rates,
      peer: { what: 'GET without it', runs: many.rates },
      goal: atLeastTimes(1),
    }),
  ]
}
