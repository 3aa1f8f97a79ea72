import { beforeEach, describe, expect, test } from 'vitest'
import { PrometheusMetrics } from '../../../service/adapters/telemetry/prometheus.ts'

let metrics: PrometheusMetrics
beforeEach(() => {
  metrics = new PrometheusMetrics()
})

/** Returns values by series: `slipway_builds_total{outcome="built",cause="pull"}` → 1. */
async function series(): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (const line of (await metrics.text()).split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, name, value] = /^([a-zA-Z_:][\w:]*(?:\{[^}]*\})?) (-?[\d.e+-]+|nan)$/i.exec(line) ?? []
    if (name === undefined) throw new Error(`not a sample: ${line}`)
    found.set(name, Number(value))
  }
  return found
}

async function own(): Promise<string[]> {
  return [...(await series()).keys()].filter((name) => name.startsWith('slipway_'))
}

test('every metric of the service has a help text and a type', async () => {
  const text = await metrics.text()
  const helped = new Set([...text.matchAll(/^# HELP (\S+) \S.*\.$/gm)].map(([, name]) => name))
  const typed = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
  const metric = (name: string) => name.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')
  for (const name of await own()) {
    expect(helped).toContain(metric(name))
    expect(typed).toContain(metric(name))
  }
  expect(metrics.contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
})

test('names of counters end in _total, names of histograms in _seconds', async () => {
  const text = await metrics.text()
  const names = (type: string) =>
    [...text.matchAll(/^# TYPE (slipway_\S+) (\w+)$/gm)]
      .filter((match) => match[2] === type)
      .map((match) => match[1] ?? '')
  expect(names('counter').length).toBeGreaterThan(5)
  expect(names('counter').every((name) => name.endsWith('_total'))).toBe(true)
  expect(names('histogram')).toEqual([
    'slipway_fetch_duration_seconds',
    'slipway_build_stage_duration_seconds',
  ])
  expect(names('gauge')).toEqual(['slipway_queue_length'])
})

test('the metrics include memory and event loop of the process', async () => {
  const found = await series()
  expect(found.get('process_resident_memory_bytes')).toBeGreaterThan(0)
  expect(found.has('nodejs_eventloop_lag_seconds')).toBe(true)
})

test('two PrometheusMetrics do not share counts', async () => {
  new PrometheusMetrics().blobBytesServed(5)
  expect((await series()).get('slipway_blob_served_bytes_total')).toBe(0)
})

test('each event is counted under its labels', async () => {
  metrics.reconciled('queued')
  metrics.fetched('fetched', 0.3)
  metrics.buildEnded('built', 'prebuild')
  metrics.buildEnded('built', 'prebuild')
  metrics.stageEnded('realise', 12)
  metrics.webhookAnswered('github', 'accepted')
  metrics.manifestAnswered('waited')
  metrics.blobBytesServed(1000)
  metrics.blobBytesServed(24)
  metrics.layerTaken('reused')
  const found = await series()
  expect(found.get('slipway_reconciles_total{outcome="queued"}')).toBe(1)
  expect(found.get('slipway_fetch_duration_seconds_sum{outcome="fetched"}')).toBe(0.3)
  expect(found.get('slipway_fetch_duration_seconds_bucket{le="0.25",outcome="fetched"}')).toBe(0)
  expect(found.get('slipway_fetch_duration_seconds_bucket{le="0.5",outcome="fetched"}')).toBe(1)
  expect(found.get('slipway_builds_total{outcome="built",cause="prebuild"}')).toBe(2)
  expect(found.get('slipway_build_stage_duration_seconds_sum{stage="realise"}')).toBe(12)
  expect(found.get('slipway_webhooks_total{provider="github",outcome="accepted"}')).toBe(1)
  expect(found.get('slipway_manifest_requests_total{outcome="waited"}')).toBe(1)
  expect(found.get('slipway_blob_served_bytes_total')).toBe(1024)
  expect(found.get('slipway_layers_total{outcome="reused"}')).toBe(1)
})

test('series with known labels exist at zero before their first event', async () => {
  const found = await series()
  for (const cause of ['pull', 'prebuild']) {
    for (const outcome of ['built', 'failed', 'aborted']) {
      expect(found.get(`slipway_builds_total{outcome="${outcome}",cause="${cause}"}`)).toBe(0)
    }
  }
  expect(found.get('slipway_reconciles_total{outcome="failed"}')).toBe(0)
  expect(found.get('slipway_fetch_duration_seconds_count{outcome="failed"}')).toBe(0)
  expect(found.get('slipway_manifest_requests_total{outcome="record"}')).toBe(0)
  expect(found.get('slipway_layers_total{outcome="packed"}')).toBe(0)
})

test('the queue length is read at each scrape', async () => {
  expect((await series()).get('slipway_queue_length{class="tag"}')).toBe(0)
  const lengths = { pull: 1, tag: 20, branch: 0 }
  metrics.watchQueue((queue) => lengths[queue])
  expect((await series()).get('slipway_queue_length{class="tag"}')).toBe(20)
  lengths.tag = 19
  const found = await series()
  expect(found.get('slipway_queue_length{class="tag"}')).toBe(19)
  expect(found.get('slipway_queue_length{class="pull"}')).toBe(1)
  expect(found.get('slipway_queue_length{class="branch"}')).toBe(0)
})

describe('labels with free text', () => {
  test('a label takes at most 32 values; further ones are counted as "other"', async () => {
    for (let turn = 0; turn < 5000; turn++) {
      metrics.webhookAnswered(`provider ${turn}`, `outcome ${turn}`)
      metrics.stageEnded(`stage ${turn}`, 1)
    }
    const names = await own()
    expect(names.filter((name) => name.startsWith('slipway_webhooks_total')).length).toBe(33)
    const stages = names.filter((name) => name.startsWith('slipway_build_stage_duration_seconds_c'))
    expect(stages.length).toBe(33)
    const found = await series()
    const other = found.get('slipway_webhooks_total{provider="other",outcome="other"}')
    expect(other).toBe(5000 - 32)
  })

  test('the first values of a label are still counted after the limit is reached', async () => {
    metrics.webhookAnswered('github', 'accepted')
    for (let turn = 0; turn < 100; turn++) metrics.webhookAnswered(`provider ${turn}`, 'accepted')
    metrics.webhookAnswered('github', 'accepted')
    const found = await series()
    expect(found.get('slipway_webhooks_total{provider="github",outcome="accepted"}')).toBe(2)
  })
})
