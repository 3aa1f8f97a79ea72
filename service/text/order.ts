/**
 * Compares two texts by UTF-16 code unit, for `sort`. For ASCII (store paths, package names, tags) this is byte
 * order.
 */
export function compareCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
