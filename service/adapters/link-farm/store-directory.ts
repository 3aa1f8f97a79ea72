/** Reads store paths as trees to merge. Only names and kinds of files are read, and only where the merge needs them. */
import { readlinkSync } from 'node:fs'
import { type ByteString, byteString, fsPath } from '../tar/byte-string.ts'
import { type FileKind, kindOf, listDirectory } from '../tar/list-directory.ts'
import { storeFolder } from '../tar/store-entries.ts'
import type { Directory, Node } from './merge-trees.ts'

/** Symlinks that Linux follows in one path before it answers ELOOP. */
const maxSymlinks = 40

/**
 * Returns the tree of a store path, or of the directory that it is a symlink to; undefined if it is neither.
 * @param name of the store path, without /nix/store
 * @param folder of this machine that stands for /nix/store
 * @throws Error for a store path that does not exist or cannot be read
 */
export function storeDirectory(name: ByteString, folder: string): Directory | undefined {
  const store = byteString(folder)
  return kindOf(`${store}/${name}`) === 'file' ? undefined : directoryBehind(store, name)
}

/** @param path below the store folder; no part of it is a symlink */
function directoryAt(store: ByteString, path: ByteString): Directory {
  const children = () =>
    listDirectory(`${store}/${path}`).map(({ name, kind }) => {
      return { name, node: nodeAt(store, `${path}/${name}`, kind) }
    })
  return { kind: 'directory', id: `${storeFolder}/${path}`, children }
}

function nodeAt(store: ByteString, path: ByteString, kind: FileKind): Node {
  if (kind === 'directory') return directoryAt(store, path)
  const target = `${storeFolder}/${path}`
  if (kind === 'file') return { kind: 'symlink', target }
  return { kind: 'symlink', target, directory: () => directoryBehind(store, path) }
}

/**
 * Returns the directory that a path below the store leads to; undefined if the path leads to anything else, outside of
 * the store, or through a cycle of symlinks. `realpath` would be wrong: absolute targets begin with /nix/store, even
 * if the store paths are in another folder of this machine.
 */
function directoryBehind(store: ByteString, path: ByteString): Directory | undefined {
  let resolved: ByteString[] = []
  /** The parts that are left, the next one last. */
  const parts = path.split('/').reverse()
  let symlinks = 0
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (part === '' || part === '.') continue
    if (part === '..') {
      if (resolved.pop() === undefined) return undefined
      continue
    }
    const onDisk = `${store}/${[...resolved, part].join('/')}`
    switch (kindIfPresent(onDisk)) {
      case 'directory':
        resolved.push(part)
        break
      case 'symlink': {
        symlinks += 1
        let target = readlinkSync(fsPath(onDisk), 'latin1')
        if (target.startsWith('/')) {
          if (!target.startsWith(`${storeFolder}/`)) return undefined
          target = target.slice(storeFolder.length)
          resolved = []
        }
        if (symlinks > maxSymlinks) return undefined
        parts.push(...target.split('/').reverse())
        break
      }
      default:
        return undefined
    }
  }
  return resolved.length === 0 ? undefined : directoryAt(store, resolved.join('/'))
}

function kindIfPresent(path: ByteString): FileKind | undefined {
  try {
    return kindOf(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
