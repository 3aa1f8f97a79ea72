/** Where images are kept: the settings of the storage. */
import { z } from 'zod'

export interface FilesystemConfig {
  readonly backend: 'filesystem'
  readonly path: string
}

export interface GcsConfig {
  readonly backend: 'gcs'
  readonly bucket: string
  readonly credentialsPath?: string
  /** Has URLs signed by Google's IAM, when the credentials hold no key. */
  readonly signByIam: boolean
  /** Whether clients are sent to the bucket for blobs. */
  readonly redirect: boolean
  /** In place of Google's. */
  readonly endpoint?: URL
}

export type StorageConfig = FilesystemConfig | GcsConfig

/** @see https://cloud.google.com/storage/docs/buckets#naming */
const bucketName = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/

/** What of the settings concerns a bucket; zod's shape, to be part of the whole. */
export const gcsSettings = {
  GCS_BUCKET: z
    .string()
    .regex(
      bucketName,
      'the name of a bucket: 3 to 222 lower-case letters, digits, "-", "_" and "."',
    )
    .optional(),
  GOOGLE_APPLICATION_CREDENTIALS: z.string().optional(),
  SLIPWAY_GCS_SIGN: z.enum(['key', 'iam'], { error: 'one of: key, iam' }).default('key'),
  SLIPWAY_GCS_REDIRECT: z
    .enum(['0', '1'], { error: '1, or 0 to send blobs through the service' })
    .default('1'),
  SLIPWAY_GCS_ENDPOINT: z
    .string()
    .refine((text) => /^https?:/i.test(text) && URL.canParse(text), 'an http(s) URL')
    .transform((text) => new URL(text))
    .optional(),
}

type GcsValues = z.infer<z.ZodObject<typeof gcsSettings>>

/** @param path of the folder, when it is one */
export function storageOf(
  backend: 'filesystem' | 'gcs',
  path: string,
  values: GcsValues,
): StorageConfig {
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
