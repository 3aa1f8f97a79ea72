import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Digest, hexOf } from '../../service/image/descriptor.ts'
import { StoredImages } from '../../service/storage/stored-images.ts'
import { blobsOf, Workbench } from '../support/workbench.ts'

let bench: Workbench
/** The images after a restart: none is in memory. */
let images: StoredImages
let key: string
let blobs: { config: Digest; layers: Digest[] }
let manifests: { oci: Digest; docker: Digest }

beforeEach(async () => {
  bench = await Workbench.create()
  const { oci, docker } = await bench.image('hello')
  key = bench.keyOf('hello')
  blobs = blobsOf(oci)
  manifests = { oci: oci.descriptor.digest, docker: docker.descriptor.digest }
  images = new StoredImages(bench.imageRecords, bench.blobs)
})
afterEach(() => bench[Symbol.asyncDispose]())

const truncate = (digest: Digest) =>
  bench.disk.put(`blobs/sha256/${hexOf(digest)}`, Buffer.from('x'))

test('an image with all its blobs is loaded, and then remembered', async () => {
  expect(images.remembered(key)).toBeUndefined()
  const image = await images.load(key)
  expect(image?.oci.descriptor.digest).toBe(manifests.oci)
  expect(image?.docker.descriptor.digest).toBe(manifests.docker)
  expect(image?.blobs).toEqual(
    new Set([blobs.config, ...blobs.layers, manifests.oci, manifests.docker]),
  )
  expect(images.remembered(key)).toBe(image)
})

test('an image without a record is not loaded', async () => {
  expect(await images.load('another')).toBeUndefined()
})

describe('incomplete images', () => {
  test.each([
    ['its OCI manifest is lost', () => bench.loseBlob(manifests.oci)],
    ['its Docker manifest is lost', () => bench.loseBlob(manifests.docker)],
    ['a manifest is damaged', () => truncate(manifests.oci)],
    ['its config is lost', () => bench.loseBlob(blobs.config)],
    ['its first layer is lost', () => bench.loseBlob(blobs.layers[0] as Digest)],
    ['its last layer is lost', () => bench.loseBlob(blobs.layers.at(-1) as Digest)],
    ['a layer is cut short', () => truncate(blobs.layers[0] as Digest)],
    ['its config is cut short', () => truncate(blobs.config)],
  ])('an image is not loaded when %s', async (_, damage) => {
    await damage()
    expect(await images.load(key)).toBeUndefined()
    expect(images.remembered(key)).toBeUndefined()
  })
})

describe('documents', () => {
  test('a document has the media type that its content names', async () => {
    expect((await images.document(manifests.docker))?.descriptor).toMatchObject({
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      digest: manifests.docker,
    })
  })

  test('a document is read from the storage once', async () => {
    await images.document(manifests.oci)
    bench.journal.length = 0
    await images.document(manifests.oci)
    expect(bench.journal).toEqual([])
  })

  test.each([
    ['JSON of another kind', '{"schemaVersion":2,"layers":[]}'],
    ['a manifest of schema 1', '{"schemaVersion":1,"name":"hello","fsLayers":[]}'],
    ['not JSON', 'a layer'],
    ['empty', ''],
  ])('a blob is no document if it is %s', async (_, content) => {
    const digest = await bench.putBlob(Buffer.from(content))
    expect(await images.document(digest)).toBeUndefined()
  })
})

describe('lost blobs', () => {
  test('forgetBlob forgets the images that need the blob, and no other image', async () => {
    // hello and git share the layer of glibc. Only the image of git has the layer of zlib.
    await bench.image('git')
    await bench.image('hello', 'v2')
    const [hello, git] = [bench.images.remembered(key), bench.images.remembered(bench.keyOf('git'))]
    const own = [...(git?.blobs ?? [])].filter((digest) => !hello?.blobs.has(digest))
    bench.images.forgetBlob(own[0] as Digest)
    expect(bench.images.remembered(bench.keyOf('git'))).toBeUndefined()
    expect(bench.images.remembered(key)).toBe(hello)
    bench.images.forgetBlob(blobs.layers[0] as Digest)
    expect(bench.images.remembered(key)).toBeUndefined()
    expect(bench.images.remembered(bench.keyOf('hello', 'v2'))).toBeUndefined()
  })

  test('forgetBlob of a blob that no image needs changes nothing', () => {
    bench.images.forgetBlob(`sha256:${'f'.repeat(64)}`)
    expect(bench.images.remembered(key)).toBeDefined()
  })
})
