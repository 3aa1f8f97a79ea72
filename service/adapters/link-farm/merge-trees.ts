/** Merges trees into one. Only the methods `children` and `directory` of the trees may do I/O. */
import { type ByteString, bytesOf } from '../tar/byte-string.ts'
import type { TarEntry } from '../tar/entry.ts'
import { visitsInPathOrder } from '../tar/path-order.ts'

/** A tree to merge. Its content is read only where the merge needs it. */
export interface Directory {
  readonly kind: 'directory'
  /** Equal for two directories only if they are the same directory. */
  readonly id: string
  /** Mode in the image, unless a better ranked tree has the directory, too. @default 0o755 */
  readonly mode?: number
  /** Returns the content in any order. */
  children(): readonly Child[]
}

export interface Child {
  readonly name: ByteString
  readonly node: Node
}

export interface Symlink {
  readonly kind: 'symlink'
  /** Target in the image. */
  readonly target: ByteString
  /** Returns the directory in the store to which the symlink leads, if any. Only symlinks of packages have it. */
  directory?(): Directory | undefined
}

/** A file that belongs to no package. (Files of packages become symlinks.) */
export interface ImageFile {
  readonly kind: 'file'
  readonly bytes: Buffer
}

export type Node = Directory | Symlink | ImageFile

export interface OwnedTree {
  /** Name of the package; absent for what every image has. */
  readonly owner?: string
  readonly tree: Directory
}

/** A path that several trees have, and that only one of them could keep. */
export interface Collision {
  readonly path: string
  readonly kept: string
  /** Names of packages. */
  readonly dropped: readonly string[]
}

export interface MergedTrees {
  /** In byte order of their paths. */
  readonly entries: readonly TarEntry[]
  /** In the same order. */
  readonly collisions: readonly Collision[]
}

/** @param trees the best ranked first */
export function mergeTrees(trees: readonly OwnedTree[]): MergedTrees {
  const entries: TarEntry[] = []
  const collisions: Collision[] = []

  /** @param ancestors ids of all directories that were merged into the parents of `path` */
  function merge(
    path: ByteString,
    trees: readonly OwnedTree[],
    ancestors: ReadonlySet<string>,
  ): void {
    const open = new Set([...ancestors, ...trees.map(({ tree }) => tree.id)])
    for (const { item, isContent } of visitsInPathOrder(mergeNames(trees, open), isDirectory)) {
      const itemPath = path === '' ? item.name : `${path}/${item.name}`
      if (isContent) {
        merge(itemPath, item.directories, open)
        continue
      }
      entries.push(entryOf(itemPath, item))
      const dropped = item.dropped.flatMap(({ owner }) => owner ?? [])
      if (dropped.length > 0) {
        const kept = item.kept.owner ?? 'the image'
        collisions.push({ path: bytesOf(itemPath).toString(), kept, dropped })
      }
    }
  }

  merge('', trees, new Set())
  return { entries, collisions }
}

interface OwnedNode {
  readonly owner?: string
  readonly node: Node
}

/** Decision about the nodes that several directories have under one name. */
interface MergedName {
  readonly name: ByteString
  readonly kept: OwnedNode
  /** Directories to merge; empty if the name does not become a directory. */
  readonly directories: readonly OwnedTree[]
  readonly dropped: readonly OwnedNode[]
}

const none: readonly never[] = []

function isDirectory({ directories }: MergedName): boolean {
  return directories.length > 0
}

/** @param open ids of the directories that are being merged, here and in the parents */
function mergeNames(trees: readonly OwnedTree[], open: ReadonlySet<string>): MergedName[] {
  const [only] = trees
  if (only && trees.length === 1) {
    // The usual case, and faster: some directories have thousands of files.
    const { tree, ...owned } = only
    return tree.children().map(({ name, node }) => keepOnly(name, { ...owned, node }))
  }
  return [...nodesByName(trees)].map(([name, nodes]) => mergeNodes(name, nodes, open))
}

/** Returns the nodes under each name, the best ranked first. */
function nodesByName(trees: readonly OwnedTree[]): Map<ByteString, [OwnedNode, ...OwnedNode[]]> {
  const byName = new Map<ByteString, [OwnedNode, ...OwnedNode[]]>()
  for (const { tree, ...owned } of trees) {
    for (const { name, node } of tree.children()) {
      const nodes = byName.get(name)
      if (nodes) nodes.push({ ...owned, node })
      else byName.set(name, [{ ...owned, node }])
    }
  }
  return byName
}

/** Keeps the only node under a name. A symlink stays a symlink, wherever it leads. */
function keepOnly(name: ByteString, kept: OwnedNode): MergedName {
  const { node, ...owned } = kept
  const directories = node.kind === 'directory' ? [{ ...owned, tree: node }] : none
  return { name, kept, directories, dropped: none }
}

/** Merges or drops the nodes under a name. The best ranked one decides whether the name becomes a directory. */
function mergeNodes(
  name: ByteString,
  nodes: readonly [OwnedNode, ...OwnedNode[]],
  open: ReadonlySet<string>,
): MergedName {
  const [kept, ...others] = nodes
  if (others.length === 0) return keepOnly(name, kept)

  const trees = new Map<OwnedNode, Directory>()
  for (const owned of nodes) {
    const tree = directoryOf(owned.node, open)
    if (tree) trees.set(owned, tree)
  }
  const isMerged = trees.has(kept) && (kept.node.kind === 'directory' || trees.size > 1)
  if (!isMerged) return { name, kept, directories: none, dropped: others }

  // Two symlinks may lead to the same directory, which is then merged once, for the better ranked one.
  const byId = new Map<string, OwnedTree>()
  for (const [{ node: _, ...owned }, tree] of trees) {
    if (!byId.has(tree.id)) byId.set(tree.id, { ...owned, tree })
  }
  const dropped = others.filter((owned) => !trees.has(owned))
  return { name, kept, directories: [...byId.values()], dropped }
}

/**
 * Returns the directory that a node is or leads to. A symlink to a directory that is open would make a cycle, so it
 * stays a symlink. Thus the merge terminates: there are finitely many directories, and on the way down each is
 * entered through a symlink at most once.
 */
function directoryOf(node: Node, open: ReadonlySet<string>): Directory | undefined {
  if (node.kind === 'directory') return node
  const directory = node.kind === 'symlink' ? node.directory?.() : undefined
  return directory && !open.has(directory.id) ? directory : undefined
}

function entryOf(path: ByteString, merged: MergedName): TarEntry {
  const { node } = merged.kept
  if (node.kind === 'directory') return { kind: 'directory', path, mode: node.mode ?? 0o755 }
  if (isDirectory(merged)) return { kind: 'directory', path, mode: 0o755 }
  if (node.kind === 'symlink') return { kind: 'symlink', path, target: node.target }
  return { kind: 'file', path, mode: 0o644, bytes: node.bytes }
}
