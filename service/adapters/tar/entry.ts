/**
 * What a layer holds. Names are bytes: Linux knows no encoding of file names, and a name that went
 * through a UTF-8 string would come out as another one.
 */

/** A string whose every character stands for one byte (Latin-1): sorts and compares as the bytes do. */
export type ByteString = string

export interface DirectoryEntry {
  readonly kind: 'directory'
  /** Path from the image's root, without a leading or a trailing `/`. */
  readonly path: ByteString
  readonly mode: number
}

export interface SymlinkEntry {
  readonly kind: 'symlink'
  readonly path: ByteString
  readonly target: ByteString
}

/** A file whose bytes are at hand. */
export interface FileEntry {
  readonly kind: 'file'
  readonly path: ByteString
  readonly mode: number
  readonly bytes: Buffer
}

/** A file of the store. Its size and whether it is executable are read when it is open, which is cheaper. */
export interface StoreFileEntry {
  readonly kind: 'store-file'
  readonly path: ByteString
  /** Where it is on this machine. */
  readonly source: ByteString
}

export type TarEntry = DirectoryEntry | SymlinkEntry | FileEntry | StoreFileEntry

export function bytesOf(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1')
}

/** A path as node:fs takes it: that reads a text as UTF-8, which is something else where it is not ASCII. */
export function fsPath(path: ByteString): string | Buffer {
  return isAscii(path) ? path : bytesOf(path)
}

/** Whether it is the same in Latin-1 and in UTF-8. */
export function isAscii(text: ByteString): boolean {
  return /^[\0-\x7f]*$/.test(text)
}

/** Of bytes, or of the UTF-8 bytes of a text. */
export function byteString(source: Buffer | string): ByteString {
  const bytes = typeof source === 'string' ? Buffer.from(source) : source
  return bytes.toString('latin1')
}
