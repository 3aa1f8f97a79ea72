/** Settings of the storage. */
import { resolve } from 'node:path'
import { z } from 'zod'
import type { SettingFailure } from './config-error.ts'
import { absolutePath, httpUrl, isReadableFile, oneOf } from './setting-types.ts'

export interface FilesystemConfig {
  readonly backend: 'filesystem'
  /** Absolute path of the folder. */
  readonly path: string
}

export interface GcsConfig {
  readonly backend: 'gcs'
  readonly bucket: string
  readonly credentialsPath?: string
  /** True if Google's IAM service signs URLs. For credentials without a private key. */
  readonly signByIam: boolean
  /** True if clients are redirected to the bucket for blobs. */
  readonly redirect: boolean
  /** Endpoint to use instead of Google's. */
  readonly endpoint?: URL
}

export type StorageConfig = FilesystemConfig | GcsConfig

/** @see https://cloud.google.com/storage/docs/buckets#naming */
const bucketName = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/

export const storageSettings = {
  NIXERY_STORAGE_BACKEND: oneOf('filesystem', 'gcs').default('filesystem'),
  STORAGE_PATH: absolutePath.default(() => resolve('var/storage')),
  GCS_BUCKET: z
    .string()
    .regex(
      bucketName,
      'the name of a bucket: 3 to 222 lower-case letters, digits, "-", "_" and "."',
    )
    .optional(),
  /** Checked by `storageFailures`, and only for a bucket: other programs use this variable, too. */
  GOOGLE_APPLICATION_CREDENTIALS: z.string().optional(),
  SLIPWAY_GCS_SIGN: oneOf('key', 'iam').default('key'),
  SLIPWAY_GCS_REDIRECT: z
    .enum(['0', '1'], { error: '1, or 0 to send blobs through the service' })
    .default('1'),
  SLIPWAY_GCS_ENDPOINT: httpUrl.optional(),
}

/** Returns the failures of the settings that a bucket needs. */
export function storageFailures(set: NodeJS.ProcessEnv): SettingFailure[] {
  if (set.NIXERY_STORAGE_BACKEND !== 'gcs') return []
  const failures: SettingFailure[] = []
  if (set.GCS_BUCKET === undefined) {
    const message = 'is not set: NIXERY_STORAGE_BACKEND=gcs needs the name of a bucket'
    failures.push({ variable: 'GCS_BUCKET', message })
  }
  const { GOOGLE_APPLICATION_CREDENTIALS: value } = set
  if (value !== undefined && !isReadableFile(value)) {
    const message = 'must be a file that can be read'
    failures.push({ variable: 'GOOGLE_APPLICATION_CREDENTIALS', value, message })
  }
  return failures
}

export function storageOf(values: z.infer<z.ZodObject<typeof storageSettings>>): StorageConfig {
  const { NIXERY_STORAGE_BACKEND: backend, STORAGE_PATH: path } = values
  if (backend === 'filesystem') return { backend, path }
  const { GOOGLE_APPLICATION_CREDENTIALS: credentialsPath, SLIPWAY_GCS_ENDPOINT: endpoint } = values
  return {
    backend,
    bucket: values.GCS_BUCKET ?? '',
    ...(credentialsPath === undefined ? {} : { credentialsPath }),
    signByIam: values.SLIPWAY_GCS_SIGN === 'iam',
    redirect: values.SLIPWAY_GCS_REDIRECT === '1',
    ...(endpoint === undefined ? {} : { endpoint }),
  }
}
