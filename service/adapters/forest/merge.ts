/** Merging trees into one. Pure: what a tree reads, it reads behind `children` and `directory`. */
import { type ByteString, byteString, bytesOf, compareBytes, type TarEntry } from '../tar/entry.ts'

/** A tree to be merged. What it holds is asked for only where the merge needs it. */
export interface Directory {
  readonly kind: 'directory'
  /** The same for two directories only if they are one and the same. */
  readonly id: string
  children(): ReadonlyMap<ByteString, Node>
}

export interface Leaf {
  readonly kind: 'leaf'
  /** What stands in the image: a symlink to this target, or a file with these bytes. */
  readonly as: { readonly target: ByteString } | { readonly bytes: Buffer }
  /** Only for a package's symlink: the directory that it leads to, if it leads to one in the store. */
  directory?(): Directory | undefined
}

export type Node = Directory | Leaf

export interface Source {
  /** Name of the package that brings the tree; absent for what every image has. */
  readonly owner?: string
  readonly tree: Directory
}

/** A path that several sources have, where only one could have its way. */
export interface Collision {
  readonly path: string
  readonly kept: string
  /** Names of packages. */
  readonly dropped: readonly string[]
}

export interface Merged {
  /** In byte order of their paths. */
  readonly entries: readonly TarEntry[]
  readonly collisions: readonly Collision[]
}

/** @param sources the best ranked first */
export function mergeTrees(sources: readonly Source[]): Merged {
  const entries: TarEntry[] = []
  const collisions: Collision[] = []

  /** @param above ids of the directories that `path` is in, the merged ones all of them */
  function merge(path: ByteString, sources: readonly Source[], above: ReadonlySet<string>): void {
    const inside = new Set([...above, ...sources.map(({ tree }) => tree.id)])
    for (const [name, candidates] of candidatesOf(sources)) {
      const place = path === '' ? name : `${path}/${name}`
      const { kept, directories, dropped } = settle(candidates, inside)
      const losers = dropped.flatMap(({ owner }) => owner ?? [])
      if (losers.length > 0) {
        const winner = kept.owner ?? 'the image'
        collisions.push({ path: bytesOf(place).toString(), kept: winner, dropped: losers })
      }
      entries.push(entryAt(place, kept.node, directories))
      if (directories) merge(place, directories, inside)
    }
  }

  merge('', sources, new Set())
  entries.sort((a, b) => compareBytes(a.path, b.path))
  collisions.sort((a, b) => compareBytes(byteString(a.path), byteString(b.path)))
  return { entries, collisions }
}

interface Candidate {
  readonly owner?: string
  readonly node: Node
}

/** What the sources have under each name, the best ranked first. */
function candidatesOf(sources: readonly Source[]): Map<ByteString, Candidate[]> {
  const byName = new Map<ByteString, Candidate[]>()
  for (const { tree, ...source } of sources) {
    for (const [name, node] of tree.children()) {
      const known = byName.get(name)
      if (known) known.push({ ...source, node })
      else byName.set(name, [{ ...source, node }])
    }
  }
  return byName
}

interface Settled {
  readonly kept: Candidate
  /** What is to be merged, if the path becomes a directory. */
  readonly directories?: readonly Source[]
  readonly dropped: readonly Candidate[]
}

/** The best ranked candidate decides whether the path becomes a directory. */
function settle(candidates: readonly Candidate[], inside: ReadonlySet<string>): Settled {
  const [kept, ...others] = candidates
  if (kept === undefined) throw new RangeError('a path that nobody has')
  if (kept.node.kind === 'leaf' && others.length === 0) return { kept, dropped: [] }

  const trees = new Map<Candidate, Directory>()
  for (const candidate of candidates) {
    const tree = directoryOf(candidate.node, inside)
    if (tree) trees.set(candidate, tree)
  }
  const merges = trees.has(kept) && (kept.node.kind === 'directory' || trees.size > 1)
  if (!merges) return { kept, dropped: others }

  // Two symlinks may lead to one directory, which then counts once, for the better ranked.
  const byId = new Map<string, Source>()
  for (const [{ node: _, ...source }, tree] of trees) {
    if (!byId.has(tree.id)) byId.set(tree.id, { ...source, tree })
  }
  const dropped = others.filter((candidate) => !trees.has(candidate))
  return { kept, directories: [...byId.values()], dropped }
}

/**
 * A symlink to a directory that is being merged here or above would lead in circles: it stays a symlink.
 * So the merge ends, because directories are finitely many and each is entered through a symlink at most
 * once on the way down.
 */
function directoryOf(node: Node, inside: ReadonlySet<string>): Directory | undefined {
  if (node.kind === 'directory') return node
  const directory = node.directory?.()
  return directory && !inside.has(directory.id) ? directory : undefined
}

function entryAt(
  path: ByteString,
  node: Node,
  directories: readonly Source[] | undefined,
): TarEntry {
  if (node.kind === 'directory' || directories) return { kind: 'directory', path, mode: 0o755 }
  if ('target' in node.as) return { kind: 'symlink', path, target: node.as.target }
  const { bytes } = node.as
  return { kind: 'file', path, mode: 0o644, bytes }
}
