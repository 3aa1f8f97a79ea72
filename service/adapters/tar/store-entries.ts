/** Lists the files of store paths as entries of a layer. */
import { readlinkSync } from 'node:fs'
import type { StorePath } from '../../closure/closure.ts'
import { type ByteString, byteString, fsPath } from './byte-string.ts'
import type { DirectoryEntry, TarEntry } from './entry.ts'
import { type DirectoryItem, type FileKind, kindOf, listDirectory } from './list-directory.ts'
import { type Visit, visitsInPathOrder } from './path-order.ts'

/** Folder of store paths in an image, and on most machines. */
export const storeFolder = '/nix/store'

/** Entries of every layer. Without them, a client that unpacks one layer alone may create these with mode 0555. */
export const storeParents: readonly DirectoryEntry[] = ['nix', 'nix/store'].map((path) => ({
  kind: 'directory',
  path,
  mode: 0o755,
}))

/**
 * Lists `nix`, `nix/store` and everything below the store paths, in byte order of the whole paths: a function of
 * the content of the paths, which does not depend on the order in which the file system lists it.
 * @param paths below /nix/store, in any order
 * @param folder of this machine that stands for /nix/store
 * @throws Error for a path that is no store path or cannot be read, and for a file of a kind that an image cannot have
 */
export function* storeEntries(
  paths: readonly StorePath[],
  folder: string = storeFolder,
): Generator<TarEntry> {
  yield* storeParents
  const names = new Set(paths.map(storeName))
  const onDisk = byteString(folder)
  const items = [...names].map((name) => ({ name, kind: kindOf(`${onDisk}/${name}`) }))
  yield* walk(onDisk, 'nix/store', items)
}

/** Returns `<name>` of `/nix/store/<name>`. */
export function storeName(path: StorePath): ByteString {
  const name = path.slice(storeFolder.length + 1)
  if (!path.startsWith(`${storeFolder}/`) || /^\.{0,2}$|\//.test(name)) {
    throw new Error(
      `${JSON.stringify(path)} is not a store path, which has the form ${storeFolder}/<name>`,
    )
  }
  return byteString(name)
}

/** A directory whose content is being listed. */
interface OpenDirectory {
  readonly onDisk: ByteString
  readonly inImage: ByteString
  /** Visits to do, the next one last. */
  readonly visits: Visit<DirectoryItem>[]
}

/** Lists whole trees in the order of whole paths, without holding all entries in memory. */
function* walk(
  onDisk: ByteString,
  inImage: ByteString,
  items: readonly DirectoryItem[],
): Generator<TarEntry> {
  const open = [openDirectory(onDisk, inImage, items)]
  for (let directory = open.at(-1); directory !== undefined; directory = open.at(-1)) {
    const visit = directory.visits.pop()
    if (visit === undefined) {
      open.pop()
      continue
    }
    const { name, kind } = visit.item
    const source = `${directory.onDisk}/${name}`
    const path = `${directory.inImage}/${name}`
    if (visit.isContent) open.push(openDirectory(source, path, listDirectory(source)))
    else yield entryOf(kind, source, path)
  }
}

function openDirectory(
  onDisk: ByteString,
  inImage: ByteString,
  items: readonly DirectoryItem[],
): OpenDirectory {
  const visits = visitsInPathOrder(items, ({ kind }) => kind === 'directory')
  return { onDisk, inImage, visits: visits.reverse() }
}

function entryOf(kind: FileKind, source: ByteString, path: ByteString): TarEntry {
  switch (kind) {
    case 'directory':
      // The mode that Nix gives to a directory, even if the store's file system shows another one.
      return { kind, path, mode: 0o555 }
    case 'symlink':
      return { kind, path, target: readlinkSync(fsPath(source), 'latin1') }
    case 'file':
      // A hard link becomes a plain file: `auto-optimise-store` decides which files of a store share bytes.
      return { kind: 'store-file', path, source }
  }
}
