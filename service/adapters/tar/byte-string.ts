/**
 * File names and paths as bytes. Linux knows no encoding of file names: a name that is not valid UTF-8 would change
 * on its way through a JavaScript string that was decoded as UTF-8.
 */

/** String in which each character stands for one byte (Latin-1). Strings sort and compare as their bytes do. */
export type ByteString = string

export function bytesOf(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1')
}

/** Returns a path for node:fs, which encodes strings as UTF-8: a Buffer if that would change the path. */
export function fsPath(path: ByteString): string | Buffer {
  return isAscii(path) ? path : bytesOf(path)
}

/** Returns true if the text is the same in Latin-1 and UTF-8. */
export function isAscii(text: ByteString): boolean {
  return /^[\0-\x7f]*$/.test(text)
}

/** Converts bytes, or the UTF-8 bytes of a text. */
export function byteString(source: Buffer | string): ByteString {
  const bytes = typeof source === 'string' ? Buffer.from(source) : source
  return bytes.toString('latin1')
}
