/** Store paths as trees to be merged: names and kinds alone, read where they are asked for. */
import { readlinkSync } from 'node:fs'
import { type ByteString, byteString, fsPath } from '../tar/entry.ts'
import { type FileKind, kindOf, listFolder, storeFolder } from '../tar/store-tree.ts'
import type { Directory, Node } from './merge-trees.ts'

/** As many as Linux follows before it answers ELOOP. */
const mostSymlinks = 40

/**
 * The tree of a store path, or of the directory that it is a symlink to; undefined if it is anything else.
 * @param name of the store path, without /nix/store
 * @param folder where /nix/store is on this machine
 * @throws Error for a store path that does not exist or cannot be read
 */
export function storeDirectory(name: ByteString, folder: string): Directory | undefined {
  const store = byteString(folder)
  return kindOf(`${store}/${name}`) === 'file' ? undefined : directoryBehind(store, name)
}

/** @param path below the store folder, without symlinks in it */
function directoryAt(store: ByteString, path: ByteString): Directory {
  const children = () =>
    listFolder(`${store}/${path}`).map(({ name, kind }) => {
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
 * The directory that a path below the store leads to; undefined if that is not a directory, does not
 * exist, is outside of the store, or goes round in circles. Not `realpath`, because absolute targets name
 * /nix/store, wherever that is on this machine.
 */
function directoryBehind(store: ByteString, path: ByteString): Directory | undefined {
  let resolved: ByteString[] = []
  const ahead = path.split('/').reverse()
  let symlinks = 0
  for (let part = ahead.pop(); part !== undefined; part = ahead.pop()) {
    if (part === '' || part === '.') continue
    if (part === '..') {
      if (resolved.pop() === undefined) return undefined
      continue
    }
    const here = `${store}/${[...resolved, part].join('/')}`
    switch (kindIfPresent(here)) {
      case 'directory':
        resolved.push(part)
        break
      case 'symlink': {
        symlinks += 1
        let target = readlinkSync(fsPath(here), 'latin1')
        if (target.startsWith('/')) {
          if (!target.startsWith(`${storeFolder}/`)) return undefined
          target = target.slice(storeFolder.length)
          resolved = []
        }
        if (symlinks > mostSymlinks) return undefined
        ahead.push(...target.split('/').reverse())
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
