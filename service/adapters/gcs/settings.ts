/** Settings of the bucket. */
export interface GcsSettings {
  readonly bucket: string
  /** Value of GOOGLE_APPLICATION_CREDENTIALS. Without it, the credentials of the machine are used. */
  readonly credentialsPath?: string
  /** Signs URLs through Google's IAM service. For credentials without a private key. */
  readonly signByIam: boolean
  /** Redirects clients to the bucket for blobs. */
  readonly redirect: boolean
  /** Base URL of the API and of signed URLs. @default Google's */
  readonly endpoint?: URL
}

/** The role that the service account needs on the bucket. */
export const neededRole = 'roles/storage.objectAdmin'
