/**
 * Compares a cold pull of 200 store paths with the time that Nix alone needs to evaluate and read the
 * closure.
 */
import type { Bench } from './bench.ts'
import { BenchService, bytesText, sizeOf } from './bench-service.ts'
import { run } from './processes.ts'
import { atMostTimes, type Row, rowOf } from './row.ts'
import { median } from './statistics.ts'

const image = 'paths'

export async function measurePaths(bench: Bench): Promise<Row[]> {
  const packages = await bench.packages()
  const { [image]: realised } = await packages.realise([image])
  const runNix = async (): Promise<number> => {
    const started = performance.now()
    await run('nix-instantiate', [packages.folder, '-A', image], bench)
    await run('nix', ['path-info', '--json', '--recursive', realised.storePath], bench)
    return performance.now() - started
  }
  const totals: number[] = []
  const inService: number[] = []
  const alone: number[] = []
  let size = 0
  await runNix()
  await bench.repeat(async () => {
    await using service = await BenchService.start(bench)
    const { total, nix, manifest } = await service.pull(image)
    totals.push(total)
    inService.push(nix)
    size = sizeOf(manifest)
    alone.push(await runNix())
  })
  const content = `${realised.closure.length} store paths (${bytesText(realised.bytes)} → ${bytesText(size)})`
  return [
    rowOf({
      what: `cold pull of ${content}, of which ${median(inService).toFixed(0)} ms in Nix`,
      unit: 'ms',
      runs: totals,
      peer: { what: 'nix-instantiate, nix path-info', runs: alone },
      goal: atMostTimes(1.3),
    }),
  ]
}
