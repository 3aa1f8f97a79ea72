/**
 * Encodes image configs and manifests. No clock, host or commit goes into them, so equal layers and settings
 * give equal digests on every machine.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
 * @see https://distribution.github.io/distribution/spec/manifest-v2-2/
 */
import { type Descriptor, type Digest, mediaTypes, sha256Digest } from './descriptor.ts'
import type { Compression } from './keys.ts'
import type { Platform } from './platform.ts'

/** A stored layer. */
export interface Layer {
  readonly digest: Digest
  /** Bytes, compressed. */
  readonly size: number
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest
  /** Text for `docker history`. */
  readonly description: string
}

/** The `config` field of an image config: how a container starts. */
export interface ContainerConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, object>>
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly Volumes?: Readonly<Record<string, object>>
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>>
  readonly ArgsEscaped?: boolean
  readonly StopSignal?: string
  readonly Healthcheck?: object
}

/** An image config or manifest: its bytes, and the descriptor under which they are stored and served. */
export interface Document {
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
}

export interface AssembledImage {
  readonly config: Document
  readonly oci: Document
  readonly docker: Document
}

/** Creation time of every image and of the files in its layers. It is not 0, because 0 means "unset". */
const created = '1970-01-01T00:00:01Z'

/** Returns a config, and an OCI and a Docker manifest that name this config and the same layers. */
export function assembleImage(
  layers: readonly Layer[],
  config: ContainerConfig,
  platform: Platform,
  compression: Compression,
): AssembledImage {
  const configBytes = encode({
    created,
    architecture: platform.architecture,
    os: platform.os,
    config,
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((layer) => ({ created, created_by: layer.description })),
  })
  const manifest = (manifestType: string, configType: string, layerType: string) => {
    const configDescriptor = describe(configType, configBytes)
    const bytes = encode({
      schemaVersion: 2,
      mediaType: manifestType,
      config: configDescriptor,
      layers: layers.map(({ digest, size }) => ({ mediaType: layerType, digest, size })),
    })
    return { descriptor: describe(manifestType, bytes), bytes }
  }
  const { oci, docker } = layerTypes[compression]
  return {
    config: { descriptor: describe(mediaTypes.ociConfig, configBytes), bytes: configBytes },
    oci: manifest(mediaTypes.ociManifest, mediaTypes.ociConfig, oci),
    docker: manifest(mediaTypes.dockerManifest, mediaTypes.dockerConfig, docker),
  }
}

const layerTypes: Record<Compression, { oci: string; docker: string }> = {
  gzip: { oci: `${mediaTypes.ociLayer}+gzip`, docker: `${mediaTypes.dockerLayer}.gzip` },
  zstd: { oci: `${mediaTypes.ociLayer}+zstd`, docker: `${mediaTypes.dockerLayer}.zstd` },
  none: { oci: mediaTypes.ociLayer, docker: mediaTypes.dockerLayer },
}

function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: sha256Digest(bytes), size: bytes.length }
}

function encode(document: object): Uint8Array {
  return Buffer.from(JSON.stringify(document))
}
