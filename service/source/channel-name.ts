/** Names of nixpkgs channels, and templates of the URLs that serve them. */

/** Names in this grammar need no escaping in URLs and storage keys. */
const channelGrammar = /^[a-zA-Z0-9][a-zA-Z0-9._-]*$/
/** Longest possible tag, and so the longest channel name that a client can request. */
const maxLength = 128

/** Returns whether the text has the form of a channel name: `nixos-24.11`, `nixpkgs-unstable`. */
export function isChannelName(text: string): boolean {
  return text.length <= maxLength && channelGrammar.test(text)
}

/**
 * Returns whether the text contains each placeholder, and is an `http:` or `https:` URL once they are filled
 * in.
 * @param placeholders names that stand in braces: `channel` for `https://example.com/{channel}`
 */
export function isUrlTemplate(text: string, ...placeholders: readonly string[]): boolean {
  return (
    placeholders.every((name) => text.includes(`{${name}}`)) &&
    /^https?:\/\/[^/]/i.test(text) &&
    URL.canParse(text.replaceAll(/[{}]/g, ''))
  )
}
