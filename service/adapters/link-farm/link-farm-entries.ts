/**
 * Builds the link farm, the root of an image: a tree of real directories whose files are symlinks into the packages.
 *
 *     /nix/store/…-git/bin/git      file            bin/         directory
 *     /nix/store/…-git/bin/gitk     symlink         bin/git   →  /nix/store/…-git/bin/git
 *     /nix/store/…-htop/bin/htop    file            bin/gitk  →  /nix/store/…-git/bin/gitk
 *                                                   bin/htop  →  /nix/store/…-htop/bin/htop
 *
 * If several packages have a path, directories are merged, and otherwise the best ranked package keeps the path. A
 * symlink to a directory is merged like that directory, but only if another package has a directory at its path:
 *
 *     …-gcc/lib64             symlink to lib        lib64/             directory
 *     …-gcc/lib/libgcc.so     file                  lib64/libgcc.so →  /nix/store/…-gcc/lib/libgcc.so
 *     …-glibc/lib64/ld.so     file                  lib64/ld.so     →  /nix/store/…-glibc/lib64/ld.so
 *
 * buildEnv of nixpkgs does the same, but it fails if one package has a file where another one has a directory.
 */
import type { LinkFarm, LinkFarmPackage } from '../../image/link-farm.ts'
import { compareCodeUnits } from '../../text/order.ts'
import { byteString } from '../tar/byte-string.ts'
import { storeFolder, storeName } from '../tar/store-entries.ts'
import {
  type Directory,
  type MergedTrees,
  mergeTrees,
  type Node,
  type OwnedTree,
} from './merge-trees.ts'
import { storeDirectory } from './store-directory.ts'

/**
 * Returns the entries of the layer of an image's root: a function of the link farm and of the content of its store
 * paths. A package that is a single file adds nothing.
 * @param folder of this machine that stands for /nix/store
 * @throws Error for a package that cannot be read
 */
export function linkFarmEntries(linkFarm: LinkFarm, folder: string = storeFolder): MergedTrees {
  const packages = new Map<string, OwnedTree>()
  for (const { name, storePath } of linkFarm.packages.toSorted(compareRank)) {
    if (packages.has(storePath)) continue
    const tree = storeDirectory(storeName(storePath), folder)
    if (tree) packages.set(storePath, { owner: name, tree: withoutNix(tree) })
  }
  return mergeTrees([storeAndTmp, ...packages.values(), { tree: defaultFiles(linkFarm.env) }])
}

/** Compares packages, the best ranked first: by priority, then requested before added, then by name. */
export function compareRank(a: LinkFarmPackage, b: LinkFarmPackage): number {
  return (
    a.priority - b.priority ||
    Number(b.isRequested) - Number(a.isRequested) ||
    compareCodeUnits(byteString(a.name), byteString(b.name)) ||
    compareCodeUnits(byteString(a.storePath), byteString(b.storePath))
  )
}

/** Removes a package's own `/nix`, which could replace the store or add something to it. */
function withoutNix(tree: Directory): Directory {
  return { ...tree, children: () => tree.children().filter(({ name }) => name !== 'nix') }
}

/**
 * Tree that ranks above the packages: the folders of the store, which every layer has (`storeParents`), and `/tmp`,
 * which must be a directory for many programs.
 */
const storeAndTmp: OwnedTree = {
  tree: imageDirectory('/', {
    nix: imageDirectory('/nix', { store: imageDirectory('/nix/store', {}) }),
    tmp: imageDirectory('/tmp', {}, 0o1777),
  }),
}

const passwd = ['root:x:0:0:root:/:/bin/sh', 'nobody:x:65534:65534:nobody:/nonexistent:/bin/sh']
const group = ['root:x:0:', 'nobody:x:65534:']

/** Returns the tree that ranks below the packages: a file of a package replaces any of these files. */
function defaultFiles(env: string | undefined): Directory {
  const etc = imageDirectory('/etc', { passwd: imageFile(passwd), group: imageFile(group) })
  if (env === undefined) return imageDirectory('/', { etc })
  const target = `${storeFolder}/${storeName(env)}/bin/env`
  const bin = imageDirectory('/usr/bin', { env: { kind: 'symlink', target } })
  return imageDirectory('/', { etc, usr: imageDirectory('/usr', { bin }) })
}

/** Returns a directory that belongs to no package. */
function imageDirectory(path: string, content: Record<string, Node>, mode?: number): Directory {
  const children = Object.entries(content).map(([name, node]) => ({ name, node }))
  return {
    kind: 'directory',
    id: `image:${path}`,
    children: () => children,
    ...(mode === undefined ? {} : { mode }),
  }
}

function imageFile(lines: readonly string[]): Node {
  return { kind: 'file', bytes: Buffer.from(lines.map((line) => `${line}\n`).join('')) }
}
