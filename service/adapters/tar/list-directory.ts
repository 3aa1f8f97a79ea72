/** Reads directories and kinds of files. Reading is synchronous, because it runs in a packing worker. */
import { type Dirent, lstatSync, readdirSync, type Stats } from 'node:fs'
import { type ByteString, byteString, bytesOf, fsPath, isAscii } from './byte-string.ts'

export type FileKind = 'directory' | 'file' | 'symlink'

export interface DirectoryItem {
  readonly name: ByteString
  readonly kind: FileKind
}

/**
 * Returns the items of a directory, in no particular order.
 * @throws Error if the directory cannot be read, or has a file of a kind that an image cannot contain
 */
export function listDirectory(path: ByteString): DirectoryItem[] {
  return readDirectory(path).map((item) => {
    return { name: item.name, kind: kindOfStats(item, path, item.name) }
  })
}

/** @throws like listDirectory */
export function kindOf(path: ByteString): FileKind {
  return kindOfStats(lstatSync(fsPath(path)), path)
}

/**
 * Reads names as Latin-1 strings, because a Buffer for each name would cost more than reading the directory. On file
 * systems that do not report kinds, Node then stats each name, encoded as UTF-8. If a name is not ASCII, this is
 * another file or none, so the directory is read again with Buffers.
 */
function readDirectory(path: ByteString): Dirent<ByteString>[] {
  if (isAscii(path)) {
    try {
      const items = readdirSync(path, { encoding: 'latin1', withFileTypes: true })
      if (items.every(({ name }) => isAscii(name))) return items
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  const items = readdirSync(bytesOf(path), { encoding: 'buffer', withFileTypes: true })
  return items.map((item) => Object.assign(item, { name: byteString(item.name) }))
}

function kindOfStats(
  item: Pick<Stats, 'isDirectory' | 'isFile' | 'isSymbolicLink'>,
  ...path: ByteString[]
): FileKind {
  if (item.isDirectory()) return 'directory'
  if (item.isFile()) return 'file'
  if (item.isSymbolicLink()) return 'symlink'
  throw new Error(`${bytesOf(path.join('/'))} is neither a directory, a file nor a symlink`)
}
