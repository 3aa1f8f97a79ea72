/** Names of nixpkgs channels, and the addresses at which they are found. */

/** Names that stand in addresses and in storage keys as they are. */
const channelGrammar = /^[a-zA-Z0-9][a-zA-Z0-9._-]*$/
/** No channel has a name near this; a tag cannot be longer. */
const longestName = 128

/** Whether the text has the form of a channel's name: `nixos-24.11`, `nixpkgs-unstable`. */
export function isChannelName(text: string): boolean {
  return text.length <= longestName && channelGrammar.test(text)
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
