/** What the bucket's adapter is told. */
export interface GcsSettings {
  readonly bucket: string
  /** What GOOGLE_APPLICATION_CREDENTIALS names; without it the machine's own credentials are used. */
  readonly credentialsPath?: string
  /** Has URLs signed by Google's IAM, when the credentials hold no key. */
  readonly signByIam: boolean
  /** Whether clients are sent to the bucket for blobs. */
  readonly redirect: boolean
  /** Where the API is, and signed URLs lead. @default Google's */
  readonly endpoint?: URL
}

/** What a service account must be granted on the bucket. */
export const neededRole = 'roles/storage.objectAdmin'
