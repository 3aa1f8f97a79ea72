/**
 * `scripts/bench pull [IMAGE…]`: for each image, on an empty storage and with its packages realised
 * before: the cold pull (manifest request → manifest), 1,000 warm requests for the manifest by tag over
 * one connection, and the most memory that the service held.
 */
import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { PackageSet } from '../test/support/package-set.ts'
import { Slipway, Workspace } from '../test/support/slipway.ts'

const warmRequests = 1000
const defaultImages = ['hello', 'shell/git/jq', 'big']

interface Row {
  readonly image: string
  /** Milliseconds. */
  readonly cold: number
  readonly p50: number
  readonly p99: number
  /** Mebibytes, resident. */
  readonly peakMemory: number
  readonly layers: number
  /** Mebibytes, compressed. */
  readonly size: number
}

const [what, ...images] = process.argv.slice(2)
if (what !== 'pull') {
  process.stderr.write('usage: scripts/bench pull [IMAGE…]\n')
  process.exit(2)
}

await using packages = await PackageSet.create()
const rows: Row[] = []
for (const image of images.length > 0 ? images : defaultImages) {
  // Once without measuring: what Nix has to build is Nix's time.
  await measure(image)
  rows.push(await measure(image))
}
process.stdout.write(
  `${['image', 'cold ms', 'warm p50 ms', 'p99 ms', 'peak MiB', 'layers', 'size MiB'].join('\t')}\n`,
)
for (const { image, cold, p50, p99, peakMemory, layers, size } of rows) {
  const cells = [
    cold.toFixed(0),
    p50.toFixed(2),
    p99.toFixed(2),
    peakMemory.toFixed(0),
    layers,
    size.toFixed(1),
  ]
  process.stdout.write(`${[image, ...cells].join('\t')}\n`)
}

async function measure(image: string): Promise<Row> {
  await using workspace = await Workspace.create()
  await using slipway = await Slipway.start(workspace.settings(packages.folder))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const path = `${slipway.url}/v2/${image}/manifests/release-v1`
  const started = performance.now()
  const manifest = JSON.parse(await get(path, agent)) as { layers: { size: number }[] }
  const cold = performance.now() - started
  const times: number[] = []
  for (let index = 0; index < warmRequests; index += 1) {
    const start = performance.now()
    await get(path, agent)
    times.push(performance.now() - start)
  }
  agent.destroy()
  times.sort((a, b) => a - b)
  const percentile = (part: number) => times[Math.floor(part * times.length)] ?? 0
  return {
    image,
    cold,
    p50: percentile(0.5),
    p99: percentile(0.99),
    peakMemory: await peakMemory(slipway.pid),
    layers: manifest.layers.length,
    size: manifest.layers.reduce((sum, layer) => sum + layer.size, 0) / 2 ** 20,
  }
}

/** The kernel's high-water mark of resident memory, MiB. */
async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
}

function get(url: string, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, { agent }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body)
        else reject(new Error(`${url}: ${response.statusCode} ${body}`))
      })
    })
      .on('error', reject)
      .end()
  })
}
