/** Keys of stored objects. They are made by this service, from digests and hashes. */

const component = '[a-zA-Z0-9_-][a-zA-Z0-9._-]*'
const grammar = new RegExp(`^${component}(?:/${component})*$`)

/**
 * The key itself. No component begins with a dot, so none leads out of a folder.
 * @throws TypeError if it is none: a fault in this service
 */
export function checkedStorageKey(key: string): string {
  if (grammar.test(key)) return key
  throw new TypeError(`not a storage key: "${key}"`)
}
