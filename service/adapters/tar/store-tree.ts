/** The files of store paths as entries of a layer. All reading is synchronous: it runs in a worker. */
import { type Dirent, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import type { StorePath } from '../../closure/closure.ts'
import {
  type ByteString,
  byteString,
  bytesOf,
  type DirectoryEntry,
  fsPath,
  isAscii,
  type TarEntry,
} from './entry.ts'
import { inPathOrder, type Step } from './path-order.ts'

/** Where store paths are in an image, and on most machines. */
export const storeFolder = '/nix/store'

/** Every layer carries these, so that it can be unpacked by itself and never makes them 0555. */
export const storeParents: readonly DirectoryEntry[] = ['nix', 'nix/store'].map((path) => ({
  kind: 'directory',
  path,
  mode: 0o755,
}))

export type FileKind = 'directory' | 'file' | 'symlink'

export interface FolderItem {
  readonly name: ByteString
  readonly kind: FileKind
}

/**
 * `nix`, `nix/store`, and all that is below the store paths, in byte order of the whole path: a function
 * of what the paths hold, whatever the order in which the file system lists it.
 * @param paths below /nix/store, in any order
 * @param folder where /nix/store is on this machine
 * @throws Error for a path that is not a store path, for one that cannot be read, and for a file that
 *   an image cannot hold
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

/** `/nix/store/<name>` → `<name>`. */
export function storeName(path: StorePath): ByteString {
  const name = path.slice(storeFolder.length + 1)
  if (!path.startsWith(`${storeFolder}/`) || /^\.{0,2}$|\//.test(name)) {
    throw new Error(`${JSON.stringify(path)} is not a store path: ${storeFolder}/<name> is one`)
  }
  return byteString(name)
}

/** What a folder holds, in no order. */
export function listFolder(path: ByteString): FolderItem[] {
  return directoryEntries(path).map((item) => {
    return { name: item.name, kind: imageKind(item, path, item.name) }
  })
}

/**
 * A buffer for each name would cost more than reading them, so they are read as Latin-1: a character a byte.
 * But where the file system does not tell kinds, Node looks up what has been read, in UTF-8: if it is not ASCII,
 * that is the name of something else, or of nothing.
 */
function directoryEntries(path: ByteString): Dirent<ByteString>[] {
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

export function kindOf(path: ByteString): FileKind {
  return imageKind(lstatSync(fsPath(path)), path)
}

function imageKind(
  item: Pick<Stats, 'isDirectory' | 'isFile' | 'isSymbolicLink'>,
  ...path: ByteString[]
): FileKind {
  if (item.isDirectory()) return 'directory'
  if (item.isFile()) return 'file'
  if (item.isSymbolicLink()) return 'symlink'
  throw new Error(`${bytesOf(path.join('/'))} is neither a directory, a file nor a symlink`)
}

/** A folder that is being walked through. */
interface Folder {
  readonly onDisk: ByteString
  readonly inImage: ByteString
  /** What is left of it, the next one last. */
  readonly ahead: Step<FolderItem>[]
}

/** In the order of whole paths, without holding them all. */
function* walk(
  onDisk: ByteString,
  inImage: ByteString,
  items: readonly FolderItem[],
): Generator<TarEntry> {
  const folders = [folderOf(onDisk, inImage, items)]
  for (let folder = folders.at(-1); folder !== undefined; folder = folders.at(-1)) {
    const step = folder.ahead.pop()
    if (step === undefined) {
      folders.pop()
      continue
    }
    const { name, kind } = step.item
    const source = `${folder.onDisk}/${name}`
    const path = `${folder.inImage}/${name}`
    if (step.content) folders.push(folderOf(source, path, listFolder(source)))
    else yield entryOf(kind, source, path)
  }
}

function folderOf(onDisk: ByteString, inImage: ByteString, items: readonly FolderItem[]): Folder {
  const steps = inPathOrder(items, ({ kind }) => kind === 'directory')
  return { onDisk, inImage, ahead: steps.reverse() }
}

function entryOf(kind: FileKind, source: ByteString, path: ByteString): TarEntry {
  switch (kind) {
    case 'directory':
      // As Nix gives it, also where the store's file system shows another one.
      return { kind, path, mode: 0o555 }
    case 'symlink':
      return { kind, path, target: readlinkSync(fsPath(source), 'latin1') }
    case 'file':
      // Hard links are plain files here: which files share bytes is the store's affair (auto-optimise).
      return { kind: 'store-file', path, source }
  }
}
