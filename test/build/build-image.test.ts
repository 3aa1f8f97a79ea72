import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import type { ImageRecord } from '../../service/storage/ports.ts'
import { storePathOf } from '../support/fake-nix.ts'
import { blobsOf, Workbench } from '../support/workbench.ts'

let bench: Workbench

beforeEach(async () => {
  bench = await Workbench.create()
})
afterEach(() => bench[Symbol.asyncDispose]())

async function build(name: string, tag = 'v1', on = bench): Promise<ImageRecord> {
  const { record } = await on.builds.build({
    name: parseImageName(name),
    revision: { id: on.source.refs.get(tag) ?? '' },
    imageKey: on.keyOf(name, tag),
    cause: 'pull',
    limit: { seconds: 7, setting: 'NIX_TIMEOUT' },
  })
  return record
}

async function read(record: ImageRecord) {
  const manifest = JSON.parse(String(await bench.blobs.document(record.oci.digest)))
  const config = JSON.parse(String(await bench.blobs.document(manifest.config.digest)))
  return { manifest, config }
}

/** Returns the index of the first journal entry that begins like this. */
const position = (entry: string) => {
  const index = bench.journal.findIndex((line) => line.startsWith(entry))
  if (index < 0) throw new Error(`the journal has no entry "${entry}"`)
  return index
}

describe('BuildImage', () => {
  test('a build evaluates, realises, plans, packs, publishes and releases its GC roots, in this order', async () => {
    await build('hello')
    const stages = ['evaluate', 'realise', 'put plans/', 'pack', 'put images/', 'release']
    expect(stages.map(position)).toEqual(stages.map(position).toSorted((a, b) => a - b))
  })

  test('a build reads the closure once if the outputs are valid already', async () => {
    await build('hello')
    expect(bench.journal.filter((entry) => entry === 'closure')).toHaveLength(1)
    expect(position('closure')).toBeLessThan(position('put plans/'))
  })

  test('a build reads the closure again after realising outputs that were not valid', async () => {
    const { nix } = bench
    const read = nix.closure.bind(nix)
    let valid = false
    nix.closure = async (paths) => {
      if (!valid) throw new Error('path is not valid')
      return read(paths)
    }
    const realise = nix.realise.bind(nix)
    nix.realise = async (...args) => {
      await realise(...args)
      valid = true
    }
    await build('hello')
    expect(position('realise')).toBeLessThan(position('closure'))
  })

  test('a build stores all blobs before the manifests, and the manifests before the record', async () => {
    const record = await build('hello')
    const { config, layers } = blobsOf({
      bytes: (await bench.blobs.document(record.oci.digest)) as Buffer,
    })
    const at = (event: string, digest: string) =>
      position(`${event} blobs/sha256/${digest.slice(7)}`)
    const manifests = [record.oci.digest, record.docker.digest]
    const blobsEnd = Math.max(...[config, ...layers].map((digest) => at('stored', digest)))
    const manifestsBegin = Math.min(...manifests.map((digest) => at('put', digest)))
    const manifestsEnd = Math.max(...manifests.map((digest) => at('stored', digest)))
    expect(blobsEnd).toBeLessThan(manifestsBegin)
    expect(manifestsEnd).toBeLessThan(position('put images/'))
  })

  test('a build evaluates the requested and the added packages', async () => {
    await build('git/hello')
    expect(bench.evaluator.requests).toMatchObject([
      { system: 'x86_64-linux', packages: ['git', 'hello', 'cacert', 'iana-etc'] },
    ])
  })

  test('a build realises the packages that the set has, within the time limit of the request', async () => {
    await build('git/hello')
    expect(bench.did('realise')).toEqual(['realise git hello cacert'])
    expect(bench.nix.timeouts).toEqual([7])
  })

  test('a build evaluates a requested cacert once', async () => {
    await build('cacert')
    expect(bench.evaluator.requests[0]?.packages).toEqual(['cacert', 'iana-etc'])
  })

  test('a name with arm64 builds an image for arm64', async () => {
    const record = await build('arm64/hello')
    expect(bench.evaluator.requests).toMatchObject([{ system: 'aarch64-linux' }])
    expect(record.architecture).toBe('arm64')
    expect((await read(record)).config.architecture).toBe('arm64')
  })

  test('the image record holds name, packages, platform, revision and size', async () => {
    const record = await build('git/hello')
    const { manifest } = await read(record)
    const sizes = manifest.layers.map(({ size }: { size: number }) => size)
    expect(record).toMatchObject({
      name: 'git/hello',
      packages: ['git', 'hello'],
      architecture: 'amd64',
      revision: '1'.repeat(40),
      size: sizes.reduce((sum: number, size: number) => sum + size),
    })
    expect(await bench.imageRecords.get(bench.keyOf('git/hello'))).toEqual(record)
  })

  test('the start and the end of a build are logged, with the time of each stage', async () => {
    const record = await build('hello')
    expect(bench.log.at('info')).toMatchObject([
      { message: 'building image', fields: { image: 'hello' } },
      {
        message: 'image built',
        fields: {
          image: 'hello',
          digest: record.oci.digest,
          milliseconds: {
            evaluate: expect.any(Number),
            realise: expect.any(Number),
            closure: expect.any(Number),
            plan: expect.any(Number),
            pack: expect.any(Number),
            publish: expect.any(Number),
          },
        },
      },
    ])
  })
})

describe('the built image', () => {
  test('an image has every path of the closure in a layer, and the link farm in the last layer', async () => {
    const record = await build('git/hello')
    const { config } = await read(record)
    const descriptions = config.history.map(({ created_by }: { created_by: string }) => created_by)
    expect(descriptions.at(-1)).toBe('links to hello-1.0, cacert-1.0, git-1.0')
    const contents = descriptions.slice(0, -1).join(', ').split(', ').sort()
    expect(contents).toEqual(['cacert-1.0', 'git-1.0', 'glibc-1.0', 'hello-1.0', 'zlib-1.0'])
  })

  test('an image starts the main program of its package, with SSL_CERT_FILE set', async () => {
    const { config } = await read(await build('hello'))
    expect(config.config.Cmd).toEqual([`${storePathOf('hello')}/bin/hello`])
    expect(config.config.Env).toContain('SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt')
  })

  test('an image of a set without cacert has no SSL_CERT_FILE', async () => {
    await using bare = await Workbench.create({ packages: { hello: {} } })
    const record = await build('hello', 'v1', bare)
    const manifest = JSON.parse(String(await bare.blobs.document(record.oci.digest)))
    const config = JSON.parse(String(await bare.blobs.document(manifest.config.digest)))
    expect(config.config.Env).toHaveLength(1)
  })

  test('config and manifest of an image contain no commit and no time but 1970', async () => {
    const { config, manifest } = await read(await build('hello'))
    const text = JSON.stringify([config, manifest])
    expect(text).not.toContain('1'.repeat(40))
    expect(text.match(/\d{4}-\d\d-\d\dT[^"]*/g)).toEqual(text.match(/1970-01-01T00:00:01Z/g))
  })

  test('a long layer description is cut', async () => {
    const packages = Object.fromEntries(
      Array.from({ length: 20 }, (_, index) => [`a-package-with-a-long-name-${index}`, {}]),
    )
    await using crowded = await Workbench.create({ packages })
    const image = await crowded.image(Object.keys(packages).slice(0, 8).join('/'))
    const config = JSON.parse(String(await crowded.blobs.document(blobsOf(image.oci).config)))
    for (const { created_by } of config.history) expect(created_by.length).toBeLessThan(220)
  })
})

describe('the same packages at another revision', () => {
  test('equal packages at two revisions give one image, and are packed once', async () => {
    const first = await build('hello', 'v1')
    bench.journal.length = 0
    const second = await build('hello', 'v2')
    expect(second.oci).toEqual(first.oci)
    expect(second.docker).toEqual(first.docker)
    expect(second.revision).not.toBe(first.revision)
    expect(bench.did('pack')).toEqual([])
  })

  test('equal packages give one image after a restart, even if the packer compresses differently', async () => {
    const first = await build('hello', 'v1')
    const next = await Workbench.create({ restarted: bench })
    next.packer.compression = 'b'
    const second = await build('hello', 'v2', next)
    expect(second.oci).toEqual(first.oci)
    expect(next.did('pack')).toEqual([])
  })
})

test('images share the layers of their common store paths', async () => {
  const [hello, git] = [await bench.image('hello'), await bench.image('git')]
  const shared = blobsOf(hello.oci).layers.filter((digest) => git.blobs.has(digest))
  expect(shared.length).toBeGreaterThan(0)
})

describe('a failed build', () => {
  const broken = new Failure('build-failed', 'hello does not build')

  test.each(['evaluate', 'realise', 'pack', 'publish'])(
    'a build that fails in stage %s stores no record and releases its GC roots',
    async (stage) => {
      const fail = () => {
        throw broken
      }
      if (stage === 'evaluate') bench.evaluator.before = fail
      if (stage === 'realise') bench.nix.before = (at) => (at === 'realise' ? fail() : undefined)
      if (stage === 'pack') bench.packer.before = fail
      if (stage === 'publish') {
        bench.store.before = (operation, key) =>
          operation === 'put' && key.startsWith('images/') ? fail() : undefined
      }
      await expect(build('hello')).rejects.toBe(broken)
      expect(await bench.disk.stat(`images/${bench.keyOf('hello')}`)).toBeUndefined()
      expect(bench.did('release')).toHaveLength(1)
      expect(bench.nix.roots.size).toBe(0)
    },
  )

  test('an image with a missing package fails with the nearest names, before anything is realised', async () => {
    await expect(build('helo')).rejects.toMatchObject({
      kind: 'manifest-unknown',
      message: expect.stringContaining('hello'),
    })
    expect(bench.did('realise')).toEqual([])
  })

  test('a failed build keeps its GC roots until its last layer is packed', async () => {
    const slow = Promise.withResolvers<void>()
    bench.packer.before = (what) => {
      if (what.startsWith('link-farm')) throw broken
      return slow.promise
    }
    const building = build('hello')
    await expect.poll(() => bench.did('pack').length).toBeGreaterThan(1)
    await new Promise((resolve) => setImmediate(resolve))
    expect(bench.nix.roots.size).toBe(1)
    slow.resolve()
    await expect(building).rejects.toBe(broken)
    expect(bench.nix.roots.size).toBe(0)
  })
})

describe('GC roots that cannot be removed', () => {
  beforeEach(() => {
    bench.nix.before = (operation) => {
      if (operation === 'release') throw new Error('no such folder')
    }
  })

  test('a build succeeds, with a warning, if its GC roots cannot be removed', async () => {
    expect(await build('hello')).toMatchObject({ name: 'hello' })
    expect(bench.log.at('warn')).toMatchObject([
      { message: 'the GC roots of the build could not be removed', fields: { image: 'hello' } },
    ])
  })

  test('a failed build keeps its failure if its GC roots cannot be removed', async () => {
    await expect(build('helo')).rejects.toMatchObject({ kind: 'manifest-unknown' })
  })
})
