import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Digest } from '../../service/image/descriptor.ts'
import { assembleImage, type Layer } from '../../service/image/manifest.ts'
import { amd64, arm64 } from '../../service/image/platform.ts'

const digest = (letter: string): Digest => `sha256:${letter.repeat(64)}`
const layers: Layer[] = [
  { digest: digest('a'), size: 10, diffId: digest('b'), description: 'glibc-2.36' },
  { digest: digest('c'), size: 20, diffId: digest('d'), description: 'links' },
]
const json = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString())

describe('assembleImage', () => {
  const image = assembleImage(layers, { Cmd: ['bash'] }, amd64, 'gzip')

  test('the descriptor of config and manifests has the digest and size of the bytes', () => {
    for (const { descriptor, bytes } of [image.config, image.oci, image.docker]) {
      expect(descriptor.digest).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
      expect(descriptor.size).toBe(bytes.length)
    }
  })

  test('both manifests name the config and the layers in order', () => {
    for (const manifest of [image.oci, image.docker]) {
      const read = json(manifest.bytes)
      expect(read.schemaVersion).toBe(2)
      expect(read.mediaType).toBe(manifest.descriptor.mediaType)
      expect(read.config.digest).toBe(image.config.descriptor.digest)
      expect(
        read.layers.map((layer: { digest: string; size: number }) => [layer.digest, layer.size]),
      ).toEqual(layers.map((layer) => [layer.digest, layer.size]))
    }
  })

  test('each manifest uses the media types of its own format', () => {
    expect(json(image.oci.bytes)).toMatchObject({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json' },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' }, {}],
    })
    expect(json(image.docker.bytes)).toMatchObject({
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: { mediaType: 'application/vnd.docker.container.image.v1+json' },
      layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip' }, {}],
    })
  })

  test.each([
    ['zstd', 'application/vnd.oci.image.layer.v1.tar+zstd'],
    ['none', 'application/vnd.oci.image.layer.v1.tar'],
  ] as const)('the media type of layers with compression %s says so', (compression, mediaType) => {
    const { oci } = assembleImage(layers, {}, amd64, compression)
    expect(json(oci.bytes).layers[0].mediaType).toBe(mediaType)
  })

  test('the config has diff ids, one history entry for each layer, and a fixed time', () => {
    const config = json(image.config.bytes)
    expect(config).toMatchObject({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['bash'] },
      rootfs: { type: 'layers', diff_ids: [digest('b'), digest('d')] },
    })
    expect(config.history.map((entry: { created_by: string }) => entry.created_by)).toEqual([
      'glibc-2.36',
      'links',
    ])
    expect(JSON.stringify(config).match(/\d{4}-\d\d-\d\dT[^"]*/g)).toEqual([
      ...new Array(3).fill('1970-01-01T00:00:01Z'),
    ])
  })

  test('an image has the same digest each time, and another one for another platform', () => {
    const again = assembleImage(layers, { Cmd: ['bash'] }, amd64, 'gzip')
    expect(again.oci.descriptor).toEqual(image.oci.descriptor)
    const other = assembleImage(layers, { Cmd: ['bash'] }, arm64, 'gzip')
    expect(other.oci.descriptor.digest).not.toBe(image.oci.descriptor.digest)
    expect(json(other.config.bytes).architecture).toBe('arm64')
  })
})
