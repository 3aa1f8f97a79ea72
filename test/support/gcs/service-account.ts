/** A service account of the test's own, its key, and what is signed with it. */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

/** A key file as the console gives it out. */
export interface ServiceAccountKey {
  readonly type: 'service_account'
  readonly project_id: string
  readonly private_key_id: string
  /** PEM. */
  readonly private_key: string
  readonly client_email: string
  readonly client_id: string
  readonly token_uri: string
  readonly universe_domain: string
}

export interface ServiceAccount {
  readonly email: string
  readonly keyId: string
  readonly privateKey: KeyObject
  /** All that signatures are verified with. */
  readonly publicKey: KeyObject
}

/** One a process: to make one takes a tenth of a second, and each test starts an emulator. */
let keys: Promise<{ privateKey: KeyObject; publicKey: KeyObject }> | undefined

export async function newServiceAccount(): Promise<ServiceAccount> {
  keys ??= promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const { privateKey, publicKey } = await keys
  const keyId = 'b7a1f2c3d4e5f60718293a4b5c6d7e8f90a1b2c3'
  return { email: 'slipway@test.iam.gserviceaccount.com', keyId, privateKey, publicKey }
}

/** The account whose key is in a file, so that URLs signed before a restart stay good. */
export function serviceAccountOf(key: ServiceAccountKey): ServiceAccount {
  const privateKey = createPrivateKey(key.private_key)
  const { client_email: email, private_key_id: keyId } = key
  return { email, keyId, privateKey, publicKey: createPublicKey(privateKey) }
}

/** @param url of the emulator */
export function keyFile(account: ServiceAccount, url: string): ServiceAccountKey {
  return {
    type: 'service_account',
    project_id: 'test',
    private_key_id: account.keyId,
    private_key: String(account.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    client_email: account.email,
    client_id: '100000000000000000000',
    token_uri: `${url}/token`,
    universe_domain: 'googleapis.com',
  }
}
