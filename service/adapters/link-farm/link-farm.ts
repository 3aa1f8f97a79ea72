/**
 * The root of an image: one tree of real directories whose files are symlinks into the packages.
 *
 *     /nix/store/…-git/bin/git      file            bin/         directory
 *     /nix/store/…-git/bin/gitk     symlink         bin/git   →  /nix/store/…-git/bin/git
 *     /nix/store/…-htop/bin/htop    file            bin/gitk  →  /nix/store/…-git/bin/gitk
 *                                                   bin/htop  →  /nix/store/…-htop/bin/htop
 *
 * Where packages have the same path, directories merge, else the best ranked package has it. A symlink to
 * a directory counts as that directory, but only where it meets another one:
 *
 *     …-gcc/lib64             symlink to lib        lib64/             directory
 *     …-gcc/lib/libgcc.so     file                  lib64/libgcc.so →  /nix/store/…-gcc/lib/libgcc.so
 *     …-glibc/lib64/ld.so     file                  lib64/ld.so     →  /nix/store/…-glibc/lib64/ld.so
 *
 * buildEnv of nixpkgs does the same, except that it fails where a file meets a directory.
 */

import type { LinkFarm, LinkFarmPackage } from '../../image/link-farm.ts'
import { compareCodeUnits } from '../../text/order.ts'
import { byteString } from '../tar/entry.ts'
import { storeFolder, storeName } from '../tar/store-tree.ts'
import { type Directory, type Merged, mergeTrees, type Node, type Source } from './merge-trees.ts'
import { storeDirectory } from './store-directory.ts'

/**
 * The entries of the layer that holds an image's root: a function of the linkFarm and of what its store
 * paths hold. A package that is a single file has no part in it.
 * @param folder where /nix/store is on this machine
 * @throws Error for a package that cannot be read
 */
export function linkFarmEntries(linkFarm: LinkFarm, folder: string = storeFolder): Merged {
  const sources = new Map<string, Source>()
  for (const { name, storePath } of linkFarm.packages.toSorted(compareRank)) {
    if (sources.has(storePath)) continue
    const tree = storeDirectory(storeName(storePath), folder)
    if (tree) sources.set(storePath, { owner: name, tree: withoutNix(tree) })
  }
  return mergeTrees([foundation, ...sources.values(), { tree: essentials(linkFarm.env) }])
}

/** The best ranked first: by priority, then what was asked for, then by name. */
export function compareRank(a: LinkFarmPackage, b: LinkFarmPackage): number {
  return (
    a.priority - b.priority ||
    Number(b.isRequested) - Number(a.isRequested) ||
    compareCodeUnits(byteString(a.name), byteString(b.name)) ||
    compareCodeUnits(byteString(a.storePath), byteString(b.storePath))
  )
}

/** Nothing of a package may stand in the store's place, or in the store under another name. */
function withoutNix(tree: Directory): Directory {
  return { ...tree, children: () => tree.children().filter(({ name }) => name !== 'nix') }
}

/**
 * Ranks before the packages: the folders of the store, as every layer has them (`storeParents`), and `/tmp`, which
 * programs rely on being a directory.
 */
const foundation: Source = {
  tree: imageDirectory('/', {
    nix: imageDirectory('/nix', { store: imageDirectory('/nix/store', {}) }),
    tmp: imageDirectory('/tmp', {}, 0o1777),
  }),
}

const passwd = ['root:x:0:0:root:/:/bin/sh', 'nobody:x:65534:65534:nobody:/nonexistent:/bin/sh']
const group = ['root:x:0:', 'nobody:x:65534:']

/** Ranks after the packages: each of these files gives way to one that a package brings. */
function essentials(env: string | undefined): Directory {
  const etc = imageDirectory('/etc', { passwd: imageFile(passwd), group: imageFile(group) })
  if (env === undefined) return imageDirectory('/', { etc })
  const target = `${storeFolder}/${storeName(env)}/bin/env`
  const bin = imageDirectory('/usr/bin', { env: { kind: 'symlink', target } })
  return imageDirectory('/', { etc, usr: imageDirectory('/usr', { bin }) })
}

/** A directory that is in no package. */
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
