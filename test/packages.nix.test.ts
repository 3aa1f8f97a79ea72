import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { freePort } from './support/free-port.ts'

const NIX = resolve(import.meta.dirname, '../nix')

let scratch: string
/** The example set in a repository, with the host set in it. */
let repository: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'slipway-packages-'))
  repository = join(scratch, 'repository')
  await cp(join(NIX, 'example'), repository, { recursive: true })
  await cp(join(NIX, 'host'), join(repository, 'host'), { recursive: true })
})

afterAll(() => rm(scratch, { recursive: true, force: true }))

function nix(program: string, ...args: string[]) {
  return execa(program, args, { cwd: scratch })
}

/** Builds attributes of the set in a folder. Returns their store paths. */
async function build(folder: string, ...attributes: string[]): Promise<string[]> {
  const options = attributes.flatMap((attribute) => ['-A', attribute])
  const { stdout } = await nix('nix-build', '--no-out-link', folder, ...options)
  return stdout.split('\n')
}

async function closure(...paths: string[]): Promise<string[]> {
  const { stdout } = await nix('nix-store', '-qR', ...paths)
  return [...new Set(stdout.split('\n'))]
}

async function evaluate(expression: string): Promise<unknown> {
  const { stdout } = await nix(
    'nix-instantiate',
    '--eval',
    '--strict',
    '--json',
    '--expr',
    expression,
  )
  return JSON.parse(stdout)
}

/** Returns the error output of a command that fails. */
async function failureOf(running: Promise<unknown>): Promise<string> {
  return running.then(
    () => 'no failure',
    (error: { stderr: string }) => error.stderr,
  )
}

/** `/nix/store/<hash>-jq-1.6` → `jq` */
function packageName(path: string): string {
  return basename(path)
    .slice(33)
    .replace(/-[0-9][^-]*$/, '')
}

describe('the host set', () => {
  test('a program of the host set refers to its libraries and to nothing of the host', async () => {
    const paths = await closure(...(await build(join(NIX, 'host'), 'jq')))
    expect(paths.map(packageName).sort()).toEqual(['glibc', 'jq', 'libjq', 'libonig'])

    const jq = paths.find((path) => packageName(path) === 'jq')
    const glibc = paths.find((path) => packageName(path) === 'glibc')
    const interpreter = await execa('patchelf', ['--print-interpreter', `${jq}/bin/jq`])
    expect(interpreter.stdout.startsWith(`${glibc}/lib/ld-linux`)).toBe(true)
    const search = await execa('patchelf', ['--print-rpath', `${jq}/bin/jq`])
    for (const folder of search.stdout.split(':')) {
      expect(paths).toContain(folder.replace(/\/lib$/, ''))
    }
  })

  test('programs of the host set run where there is nothing but their closure', async () => {
    const packages = [
      'bashInteractive',
      'coreutils',
      'curl',
      'git',
      'hello',
      'jq',
      'moreutils',
      'nano',
      'openssl',
      'busybox',
    ]
    const paths = await build(join(NIX, 'host'), ...packages)
    const root = join(scratch, 'root')
    await mkdir(join(root, 'nix/store'), { recursive: true })
    await mkdir(join(root, 'tmp'))
    await mkdir(join(root, 'dev'))
    await execa('cp', ['-a', '/dev/null', '/dev/urandom', join(root, 'dev')])
    await execa('cp', ['-a', ...(await closure(...paths)), join(root, 'nix/store')])

    const script = `
      set -eu
      cd /tmp
      printf '{"a":[1,2]}' | jq -c '.a'
      hello
      env printf '%s\\n' coreutils
      stdbuf -oL printf '%s\\n' stdbuf
      curl --version | head -n 1 | cut -d ' ' -f 1
      openssl version | cut -d ' ' -f 1
      nano --version | head -n 1 | tr -s ' ' | cut -d ' ' -f 2-3
      echo sponged | sponge file; cat file
      git init -q repository; cd repository
      git config user.name Somebody; git config user.email somebody@example.com
      mv ../file .; git add file; git commit -q -m 'the first commit'
      git log --format=%s; git submodule status
      git ls-remote https://localhost:1 2>&1 | grep -o 'Failed to connect'
      ln -s ${paths[0]}/bin /bin
      git clone -q . ../clone; ls ../clone
    `
    const PATH = paths.map((path) => `${path}/bin`).join(':')
    const { stdout } = await execa('chroot', [root, `${paths[0]}/bin/bash`, '-c', script], {
      env: { PATH, HOME: '/tmp' },
      extendEnv: false,
    })
    expect(stdout.split('\n')).toEqual([
      '[1,2]',
      'Hello, world!',
      'coreutils',
      'stdbuf',
      'curl',
      'OpenSSL',
      'GNU nano,',
      'sponged',
      'the first commit',
      'Failed to connect',
      'file',
    ])
  })

  test('the build of a program fails if one of its libraries is not declared', async () => {
    const expression = `
      let host = import ${NIX}/host { }; debian = import ${NIX}/host/debian.nix { system = builtins.currentSystem; };
      in debian.program { name = "jq"; uses = [ host.glibc ]; }`
    expect(await failureOf(nix('nix-build', '--no-out-link', '--expr', expression))).toMatch(
      /jq: .*bin\/jq needs libjq\.so\.1, which none of the packages in `uses` has: glibc/,
    )
  })

  test('a missing Debian package fails only the packages that need it, and the failure names it', async () => {
    const debian = `(import ${NIX}/host/debian.nix { system = builtins.currentSystem; })`
    const set = `{ lacking = ${debian}.program { name = "no-such-program"; }; jq = (import ${NIX}/host { }).jq; }`
    expect(await evaluate(`(${set}).jq.pname`)).toBe('jq')
    expect(await failureOf(evaluate(`(${set}).lacking.drvPath`))).toContain(
      'apt-get install no-such-program',
    )
  })

  test('`besides` copies files of further Debian packages if these are installed', async () => {
    const jq = (besides: string) => `
      let host = import ${NIX}/host { }; debian = import ${NIX}/host/debian.nix { system = builtins.currentSystem; };
      in (debian.program { name = "jq"; uses = with host; [ glibc libjq libonig ]; besides = [ "${besides}" ]; }).outPath`
    const plain = await evaluate(`(import ${NIX}/host { }).jq.outPath`)
    expect(await evaluate(jq('no-such-package'))).toBe(plain)
    expect(await evaluate(jq('hello'))).not.toBe(plain)
  })

  test('debian-packages lists all Debian packages that the host set copies from', async () => {
    const named = await evaluate(
      `let set = import ${NIX}/host { };
      in builtins.concatMap (name: map baseNameOf set.\${name}.debian) (builtins.attrNames set)`,
    )
    const listed = (await readFile(join(NIX, 'host/debian-packages'), 'utf8')).trim().split('\n')
    expect(listed).toEqual([...new Set([...(named as string[]), 'patchelf'])].sort())
  })

  test('for another system the sets have data but no programs', async () => {
    const set = `(import ${repository} { system = "aarch64-linux"; })`
    expect(
      await evaluate(
        `map (package: package.name != "") (with ${set}; [ cacert iana-etc static-site ])`,
      ),
    ).toEqual([true, true, true])
    expect(await failureOf(evaluate(`${set}.jq.drvPath`))).toContain('none for aarch64-linux')
  })
})

describe('the example set', () => {
  test('a new version of custom-service changes no other package', async () => {
    const drvs = `map (package: package.drvPath) (with import ${repository} { }; [ custom-service busybox dashboard ])`
    const [first] = await build(repository, 'custom-service')
    const before = (await evaluate(drvs)) as string[]
    await writeFile(join(repository, 'custom-service/version'), '2.0\n')
    const [second] = await build(repository, 'custom-service')
    const after = (await evaluate(drvs)) as string[]

    expect((await execa(`${first}/bin/custom-service`, ['--version'])).stdout).toBe(
      'custom-service 1.0',
    )
    expect((await execa(`${second}/bin/custom-service`, ['--version'])).stdout).toBe(
      'custom-service 2.0',
    )
    expect(after[0]).not.toBe(before[0])
    expect(after.slice(1)).toEqual(before.slice(1))
  })

  test('custom-service answers HTTP requests with its version and ends at SIGTERM', async () => {
    const [path] = await build(repository, 'custom-service')
    const port = await freePort()
    const service = execa(`${path}/bin/custom-service`, { env: { PORT: `${port}` } })
    const answer = await execa('curl', [
      '-s',
      '--retry',
      '20',
      '--retry-connrefused',
      '--retry-delay',
      '0',
      '--retry-max-time',
      '10',
      `http://localhost:${port}/`,
    ])
    expect(answer.stdout).toMatch(/^custom-service \d/)
    service.kill('SIGTERM')
    expect((await service).exitCode).toBe(0)
  })

  test.each([
    ['broken-build', "expected ';' before '}' token"],
    ['broken-eval', 'needs a licence'],
    ['broken-abort', 'evaluation aborted'],
    ['broken-type', 'cannot'],
  ])('%s of the example set fails: %s', async (attribute, failure) => {
    expect(await failureOf(build(repository, attribute))).toContain(failure)
  })

  test('sleeper of the example set builds until it is killed', async () => {
    const sleeper = nix('nix-build', '--no-out-link', repository, '-A', 'sleeper', '--timeout', '1')
    expect(await failureOf(sleeper)).toContain('timed out after 1 seconds')
  })

  test('many-files of the example set has 20,000 files', async () => {
    const [path] = await build(repository, 'many-files')
    const files = await readdir(path as string, { recursive: true, withFileTypes: true })
    expect(files.filter((file) => file.isFile())).toHaveLength(20_000)
  })

  test('oddFiles and notice of the example set have files of every unusual kind', async () => {
    const [path, notice] = await build(repository, 'oddFiles', 'notice')
    const folder = join(path as string, 'share/odd')
    const names = await readdir(folder, { encoding: 'buffer' })
    expect(names.map((name) => name.toString('latin1'))).toContain('caf\xe9')
    expect((await stat(join(folder, 'hard-link-a'))).nlink).toBe(2)
    expect(await readdir(join(folder, 'empty-folder'))).toEqual([])
    expect((await readlink(join(folder, 'symlink-to-far-away'))).length).toBeGreaterThan(255)
    expect((await stat(join(path as string, 'bin/odd'))).mode & 0o111).toBe(0o111)
    expect((await stat(notice as string)).isFile()).toBe(true)
  })
})
