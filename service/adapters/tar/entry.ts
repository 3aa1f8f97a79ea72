/**
 * What a layer holds. Names are bytes: Linux knows no encoding of file names, and a name that went
 * through a UTF-8 string would come out as another one.
 */

/** A string whose every character stands for one byte (Latin-1): sorts and compares as the bytes do. */
export type ByteString = string

export interface DirectoryEntry {
  readonly kind: 'directory'
  /** Path from the image's root, without a leading or a trailing `/`. */
  readonly path: Buffer
  readonly mode: number
}

export interface SymlinkEntry {
  readonly kind: 'symlink'
  readonly path: Buffer
  readonly target: Buffer
}

/** A file whose bytes are at hand. */
export interface FileEntry {
  readonly kind: 'file'
  readonly path: Buffer
  readonly mode: number
  readonly bytes: Buffer
}

/** A file of the store. Its size and whether it is executable are read when it is open, which is cheaper. */
export interface StoreFileEntry {
  readonly kind: 'store-file'
  readonly path: Buffer
  /** Where it is on this machine. */
  readonly source: Buffer
}

export type TarEntry = DirectoryEntry | SymlinkEntry | FileEntry | StoreFileEntry

export function bytesOf(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1')
}

/** Of bytes, or of the UTF-8 bytes of a text. */
export function byteString(source: Buffer | string): ByteString {
  const bytes = typeof source === 'string' ? Buffer.from(source) : source
  return bytes.toString('latin1')
}

/** Order of the bytes; to be given ByteStrings. */
export function compareBytes(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0
}
