/** Settings of the bucket. */
export interface GcsSettings {
  readonly bucket: string
  /** Value of GOOGLE_APPLICATION_CREDENTIALS. Without it, the credentials of the machine are used. */
  readonly credentialsPath?: string
  /** True if Google's IAM service signs URLs. For credentials without a private key. */
  readonly signByIam: boolean
  /** True if clients are redirected to the bucket for blobs. */
  readonly redirect: boolean
  /** Base URL of the API and of signed URLs. @default Google's */
  readonly endpoint?: URL
}

/** The role that the service account needs on the bucket. */
export const neededRole = 'roles/storage.objectAdmin'
