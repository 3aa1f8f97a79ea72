/** Returns the text, or its first characters and "…" if it has more than `max` characters. */
export function truncate(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max)}…` : text
}
