/** Merging trees into one. Pure: what a tree reads, it reads behind `children` and `directory`. */
import { type ByteString, bytesOf, type TarEntry } from '../tar/entry.ts'
import { inPathOrder } from '../tar/path-order.ts'

/** A tree to be merged. What it holds is asked for only where the merge needs it. */
export interface Directory {
  readonly kind: 'directory'
  /** The same for two directories only if they are one and the same. */
  readonly id: string
  /** In the image, unless a better ranked directory stands in the same place. @default 0o755 */
  readonly mode?: number
  /** In any order. */
  children(): readonly Child[]
}

export interface Child {
  readonly name: ByteString
  readonly node: Node
}

export interface Symlink {
  readonly kind: 'symlink'
  /** As it stands in the image. */
  readonly target: ByteString
  /** Only for a package's symlink: the directory that it leads to, if it leads to one in the store. */
  directory?(): Directory | undefined
}

/** One that is in no package, and no symlink therefore. */
export interface ImageFile {
  readonly kind: 'file'
  readonly bytes: Buffer
}

export type Node = Directory | Symlink | ImageFile

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
  /** In the same order. */
  readonly collisions: readonly Collision[]
}

/** @param sources the best ranked first */
export function mergeTrees(sources: readonly Source[]): Merged {
  const entries: TarEntry[] = []
  const collisions: Collision[] = []

  /** @param above ids of the directories that `path` is in, the merged ones all of them */
  function merge(path: ByteString, sources: readonly Source[], above: ReadonlySet<string>): void {
    const inside = new Set([...above, ...sources.map(({ tree }) => tree.id)])
    const steps = inPathOrder(placesOf(sources, inside), isDirectory)
    for (const { item: place, content } of steps) {
      const here = path === '' ? place.name : `${path}/${place.name}`
      if (content) {
        merge(here, place.directories, inside)
        continue
      }
      entries.push(entryAt(here, place))
      const losers = place.dropped.flatMap(({ owner }) => owner ?? [])
      if (losers.length > 0) {
        const winner = place.kept.owner ?? 'the image'
        collisions.push({ path: bytesOf(here).toString(), kept: winner, dropped: losers })
      }
    }
  }

  merge('', sources, new Set())
  return { entries, collisions }
}

interface Candidate {
  readonly owner?: string
  readonly node: Node
}

/** What is to stand under a name. */
interface Place {
  readonly name: ByteString
  readonly kept: Candidate
  /** What is to be merged; none where it does not become a directory. */
  readonly directories: readonly Source[]
  readonly dropped: readonly Candidate[]
}

const none: readonly never[] = []

function isDirectory({ directories }: Place): boolean {
  return directories.length > 0
}

function placesOf(sources: readonly Source[], inside: ReadonlySet<string>): Place[] {
  const [only] = sources
  if (only && sources.length === 1) {
    // As most folders are, and some of them hold thousands of files.
    const { tree, ...source } = only
    return tree.children().map(({ name, node }) => alone(name, { ...source, node }))
  }
  const places: Place[] = []
  for (const [name, candidates] of candidatesOf(sources)) {
    places.push(settle(name, candidates, inside))
  }
  return places
}

/** What the sources have under each name, the best ranked first. */
function candidatesOf(sources: readonly Source[]): Map<ByteString, [Candidate, ...Candidate[]]> {
  const byName = new Map<ByteString, [Candidate, ...Candidate[]]>()
  for (const { tree, ...source } of sources) {
    for (const { name, node } of tree.children()) {
      const known = byName.get(name)
      if (known) known.push({ ...source, node })
      else byName.set(name, [{ ...source, node }])
    }
  }
  return byName
}

/** A symlink stays one, wherever it leads. */
function alone(name: ByteString, kept: Candidate): Place {
  const { node, ...source } = kept
  const directories = node.kind === 'directory' ? [{ ...source, tree: node }] : none
  return { name, kept, directories, dropped: none }
}

/** The best ranked candidate decides whether the path becomes a directory. */
function settle(
  name: ByteString,
  candidates: readonly [Candidate, ...Candidate[]],
  inside: ReadonlySet<string>,
): Place {
  const [kept, ...others] = candidates
  if (others.length === 0) return alone(name, kept)

  const trees = new Map<Candidate, Directory>()
  for (const candidate of candidates) {
    const tree = directoryOf(candidate.node, inside)
    if (tree) trees.set(candidate, tree)
  }
  const merges = trees.has(kept) && (kept.node.kind === 'directory' || trees.size > 1)
  if (!merges) return { name, kept, directories: none, dropped: others }

  // Two symlinks may lead to one directory, which then counts once, for the better ranked.
  const byId = new Map<string, Source>()
  for (const [{ node: _, ...source }, tree] of trees) {
    if (!byId.has(tree.id)) byId.set(tree.id, { ...source, tree })
  }
  const dropped = others.filter((candidate) => !trees.has(candidate))
  return { name, kept, directories: [...byId.values()], dropped }
}

/**
 * A symlink to a directory that is being merged here or above would lead in circles: it stays a symlink.
 * So the merge ends, because directories are finitely many and each is entered through a symlink at most
 * once on the way down.
 */
function directoryOf(node: Node, inside: ReadonlySet<string>): Directory | undefined {
  if (node.kind === 'directory') return node
  const directory = node.kind === 'symlink' ? node.directory?.() : undefined
  return directory && !inside.has(directory.id) ? directory : undefined
}

function entryAt(path: ByteString, place: Place): TarEntry {
  const { node } = place.kept
  if (node.kind === 'directory') return { kind: 'directory', path, mode: node.mode ?? 0o755 }
  if (isDirectory(place)) return { kind: 'directory', path, mode: 0o755 }
  if (node.kind === 'symlink') return { kind: 'symlink', path, target: node.target }
  return { kind: 'file', path, mode: 0o644, bytes: node.bytes }
}
