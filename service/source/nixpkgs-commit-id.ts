/** The grammar of nixpkgs' commit ids. */

const nixpkgsCommit = /^[0-9a-f]{40}$/i

/** Returns whether the text is a full commit id of nixpkgs, a SHA-1 repository: 40 hex digits. */
export function isNixpkgsCommit(text: string): boolean {
  return nixpkgsCommit.test(text)
}
