/** Generates load with wrk. Each connection sends one request after the other. */
import { join } from 'node:path'
import { run } from './processes.ts'

const script = join(import.meta.dirname, 'load.lua')

export interface LoadOptions {
  readonly url: string
  readonly headers?: Record<string, string>
  readonly connections: number
  readonly seconds: number
  readonly signal: AbortSignal
}

export interface Load {
  readonly requestsPerSecond: number
  /** 10⁶ bytes per second, including incomplete responses at the end. */
  readonly megabytesPerSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** @throws Error if a request fails or is answered with 400 or more, or if there is no response at all */
export async function load({
  url,
  headers,
  connections,
  seconds,
  signal,
}: LoadOptions): Promise<Load> {
  const fields = Object.entries(headers ?? {}).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ])
  const settings = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '-s', script]
  const output = await run('wrk', [...settings, '--timeout', '10s', ...fields, url], { signal })
  const summary = JSON.parse(output.slice(output.lastIndexOf('{'))) as Record<string, number>
  const { requests = 0, microseconds = 0, bytes = 0, failed = 0, p50 = 0, p99 = 0 } = summary
  if (failed > 0) throw new Error(`${url}: ${failed} requests failed, ${requests} succeeded`)
  if (bytes === 0) throw new Error(`${url}: no response within ${seconds} s`)
  return {
    requestsPerSecond: (requests * 1e6) / microseconds,
    megabytesPerSecond: bytes / microseconds,
    p50: p50 / 1000,
    p99: p99 / 1000,
  }
}
