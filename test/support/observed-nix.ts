/** The real Nix, behind scripts that count runs and can be made to fail. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const programs = ['nix', 'nix-store', 'nix-instantiate'] as const

export class ObservedNix {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** @param folder for the scripts */
  static async create(folder: string): Promise<ObservedNix> {
    const nix = new ObservedNix(folder)
    await mkdir(join(folder, 'bin'), { recursive: true })
    for (const program of programs) {
      const script = `#!/bin/sh
echo ${program} "$1" >>'${folder}/runs'
if [ -e '${folder}/broken' ]; then echo 'error: Nix is broken' >&2; exit 1; fi
PATH=\${PATH#*:} exec ${program} "$@"
`
      await writeFile(join(folder, 'bin', program), script, { mode: 0o755 })
    }
    return nix
  }

  /** PATH that finds the scripts first. */
  get path(): string {
    return `${this.#folder}/bin:${process.env.PATH}`
  }

  /** Returns how often a program was run, with this first argument if one is given. */
  async runs(program: (typeof programs)[number], argument = ''): Promise<number> {
    const text = await readFile(join(this.#folder, 'runs'), 'utf8').catch(() => '')
    return text.split('\n').filter((line) => line.startsWith(`${program} ${argument}`)).length
  }

  async forgetRuns(): Promise<void> {
    await rm(join(this.#folder, 'runs'), { force: true })
  }

  /** Makes every further run fail. */
  async break(): Promise<void> {
    await writeFile(join(this.#folder, 'broken'), '')
  }
}
