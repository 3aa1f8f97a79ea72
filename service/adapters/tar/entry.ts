/** Entries of a layer. */
import type { ByteString } from './byte-string.ts'

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

/** A file with its content in memory. */
export interface FileEntry {
  readonly kind: 'file'
  readonly path: ByteString
  readonly mode: number
  readonly bytes: Buffer
}

/** A file of the store. Its size and mode are read from the open file, which is cheaper. */
export interface StoreFileEntry {
  readonly kind: 'store-file'
  readonly path: ByteString
  /** Path on this machine. */
  readonly source: ByteString
}

export type TarEntry = DirectoryEntry | SymlinkEntry | FileEntry | StoreFileEntry
