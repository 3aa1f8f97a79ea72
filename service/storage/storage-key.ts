/** The grammar of storage keys, which every back end checks. */

const keyComponent = '[a-zA-Z0-9_-][a-zA-Z0-9._-]*'
const keyGrammar = new RegExp(`^${keyComponent}(?:/${keyComponent})*$`)

/**
 * Returns the key itself. No component of a valid key begins with a dot, so no key leads out of its folder.
 * The service makes all keys from digests, hashes and validated names.
 * @throws TypeError for an invalid key, which is a bug of the service
 */
export function checkedStorageKey(key: string): string {
  if (keyGrammar.test(key)) return key
  throw new TypeError(`not a storage key: "${key}"`)
}
