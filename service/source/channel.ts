/** What the channel source needs of whoever publishes nixpkgs. */

/** Names that stand in addresses and in storage keys as they are. */
const channelGrammar = /^[a-zA-Z0-9][a-zA-Z0-9._-]*$/
/** No channel has a name near this; a tag cannot be longer. */
const longestName = 128
const fullCommit = /^[0-9a-f]{40}$/i

/** Whether the text has the form of a channel's name: `nixos-24.11`, `nixpkgs-unstable`. */
export function isChannelName(text: string): boolean {
  return text.length <= longestName && channelGrammar.test(text)
}

/** Whether the text is a full commit id of nixpkgs, a SHA-1 repository: 40 hex digits. */
export function isNixpkgsCommit(text: string): boolean {
  return fullCommit.test(text)
}

/**
 * Whether the text is an `http:` or `https:` URL once its placeholders are filled in, and holds each.
 * @param placeholders names that stand in braces: `channel` for `https://example.com/{channel}`
 */
export function isAddressTemplate(text: string, ...placeholders: readonly string[]): boolean {
  return (
    placeholders.every((name) => text.includes(`{${name}}`)) &&
    /^https?:\/\/[^/]/i.test(text) &&
    URL.canParse(text.replaceAll(/[{}]/g, ''))
  )
}

/** Where channels, their commits and the trees of these come from. */
export interface ChannelServer {
  /**
   * Full id of the commit that the channel is at; undefined if there is no such channel.
   * @throws Failure unavailable
   */
  resolve(channel: string): Promise<string | undefined>
  /**
   * Whether a full commit id is that of a commit in the history of one of these branches.
   * @throws Failure unavailable
   */
  isReachable(commit: string, branches: readonly string[]): Promise<boolean>
  /**
   * Writes the tree of a commit into an empty folder, which after an error may hold a part of it.
   * @throws Failure unavailable; manifest-unknown if there is no such commit
   */
  download(commit: string, folder: string): Promise<void>
  /**
   * Names the commits whose trees, once downloaded, stay for when the publisher is out of reach; they
   * replace those that were named before.
   */
  keep(commits: readonly string[]): void
}
