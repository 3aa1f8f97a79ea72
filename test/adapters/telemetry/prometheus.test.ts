import { beforeEach, describe, expect, test } from 'vitest'
import { PrometheusMetrics } from '../../../service/adapters/telemetry/prometheus.ts'

let metrics: PrometheusMetrics
beforeEach(() => {
  metrics = new PrometheusMetrics()
})

/** Series by name and labels: `slipway_builds_total{outcome="built",cause="pull"}` → 1. */
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

test('every sample is of a metric with a help text and a type', async () => {
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

test('counters end in _total and durations are seconds', async () => {
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

test('the process is measured, too', async () => {
  const found = await series()
  expect(found.get('process_resident_memory_bytes')).toBeGreaterThan(0)
  expect(found.has('nodejs_eventloop_lag_seconds')).toBe(true)
})

test('two of them keep apart', async () => {
  new PrometheusMetrics().blobBytesServed(5)
  expect((await series()).get('slipway_blob_served_bytes_total')).toBe(0)
})

test('what happened is counted under its labels', async () => {
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

test('what can happen stands at zero before it does, so that the first time is a rise', async () => {
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

test('the length of the queue is asked for at each look', async () => {
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

describe('labels that are free text', () => {
  test('take no end of values for the same few series', async () => {
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

  test('go on counting under the values that came first', async () => {
    metrics.webhookAnswered('github', 'accepted')
    for (let turn = 0; turn < 100; turn++) metrics.webhookAnswered(`provider ${turn}`, 'accepted')
    metrics.webhookAnswered('github', 'accepted')
    const found = await series()
    expect(found.get('slipway_webhooks_total{provider="github",outcome="accepted"}')).toBe(2)
  })
})
