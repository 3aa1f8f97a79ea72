/**
 * Compares texts by code unit, for `sort`. For ASCII, such as store paths, package names and tags, that is
 * the byte order.
 */
export function compareCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
