import { afterEach, beforeEach, expect, test } from 'vitest'
import { EvaluateImage } from '../../service/build/evaluate-image.ts'
import type { Evaluator } from '../../service/build/ports.ts'
import { SourceTrees } from '../../service/build/source-trees.ts'
import type { PackageOutcome } from '../../service/closure/package.ts'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { evaluated, FakeNix } from '../support/fake-nix.ts'
import { FakeSource } from '../support/fake-source.ts'
import { RecordingLog } from '../support/recording-log.ts'

const revision = { id: '1'.repeat(40) }

let log: RecordingLog
let outcomes: Record<string, PackageOutcome>
let evaluation: EvaluateImage

const found = (name: string, system = 'x86_64-linux'): PackageOutcome => {
  return { status: 'found', package: evaluated(name, { system }) }
}
const failed = (name: string): PackageOutcome => ({ status: 'failed', name, message: 'no license' })

beforeEach(() => {
  log = new RecordingLog()
  outcomes = { git: found('git'), hello: found('hello'), cacert: found('cacert') }
  const evaluator: Evaluator = {
    evaluate: async ({ packages }) =>
      packages.map((name) => outcomes[name] ?? { status: 'missing', name, level: '', known: [] }),
  }
  const sourceTrees = new SourceTrees(new FakeSource({}), new FakeNix({}, []))
  evaluation = new EvaluateImage({ sourceTrees, evaluator, log })
})
afterEach(() => expect(log.at('error')).toEqual([]))

async function namesOf(image: string): Promise<string[]> {
  const packages = await evaluation.packages(parseImageName(image), revision)
  return packages.map(({ name }) => name)
}

test('packages() returns the requested packages, then the added ones that the set has', async () => {
  expect(await namesOf('hello/git')).toEqual(['git', 'hello', 'cacert'])
})

test('packages() returns a requested cacert once', async () => {
  expect(await namesOf('cacert/hello')).toEqual(['cacert', 'hello'])
})

test('a broken added package is left out of images, with one warning', async () => {
  outcomes.cacert = failed('cacert')
  expect(await namesOf('hello')).toEqual(['hello'])
  expect(await namesOf('git')).toEqual(['git'])
  expect(log.at('warn')).toMatchObject([{ fields: { outcome: { name: 'cacert' } } }])
})

test('an added package whose evaluation timed out fails the image', async () => {
  outcomes.cacert = { status: 'timed-out', name: 'cacert', seconds: 120 }
  await expect(namesOf('hello')).rejects.toMatchObject({ kind: 'evaluation-failed' })
})

test('batch() fails only the images with a broken package', async () => {
  outcomes.git = failed('git')
  const names = ['hello', 'git', 'hello/git'].map(parseImageName)
  const [hello, ...others] = await evaluation.batch(names, revision)
  expect(hello).toMatchObject([{ name: 'hello' }, { name: 'cacert' }])
  for (const other of others) expect(other).toBeInstanceOf(Failure)
})

test('packages built on another system than that of the image are logged once', async () => {
  outcomes.git = found('git', 'aarch64-linux')
  expect(await namesOf('git')).toEqual(['git', 'cacert'])
  await namesOf('git')
  expect(log.at('warn')).toMatchObject([
    { fields: { image: 'git', system: 'x86_64-linux', packages: ['git'] } },
  ])
})
