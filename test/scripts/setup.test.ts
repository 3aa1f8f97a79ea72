// Installing with an apt-get and a dpkg-query of the test's own, in a mount namespace of its own: nothing
// of the machine is changed.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const root = resolve(import.meta.dirname, '../..')
const setup = join(root, 'scripts/setup')
const mayMount = spawnSync('unshare', ['--mount', 'true']).status === 0

/** Stands for whatever has to be downloaded. */
const wanted = 'hello'

let folder: TemporaryFolder
/** What the script sees as /usr/sbin. */
let sbin: string

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  sbin = join(folder.path, 'sbin')
  await mkdir(sbin)
  await mkdir(join(folder.path, 'bin'))
  for (const name of ['nix-store', 'igzip', 'patchelf', 'skopeo']) await program(name, '')
  await system('ID=debian\nVERSION_ID="12"\n')
  await installed((name) => name !== wanted)
  await aptGet('exit 0')
})
afterEach(() => folder[Symbol.asyncDispose]())

const system = (release: string) => writeFile(join(folder.path, 'os-release'), release)

async function program(name: string, script: string): Promise<void> {
  const path = join(folder.path, 'bin', name)
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
}

/** Which of the packages that the example set is made from are there. */
async function installed(isThere: (name: string) => boolean): Promise<void> {
  const list = await readFile(join(root, 'nix/host/debian-packages'), 'utf8')
  const names = list.split('\n').filter((name) => !name.startsWith('#') && isThere(name))
  await program('dpkg-query', names.map((name) => `echo 'installed ${name}'`).join('\n'))
}

/** An apt-get that notes its arguments, and whether services may be started, then does as told. */
function aptGet(script: string): Promise<void> {
  const note = `{ echo "$@"; /usr/sbin/policy-rc.d; echo policy $?; } >>'${folder.path}/notes' 2>&1`
  return program('apt-get', `${note}\n${script}`)
}

const notes = () => readFile(join(folder.path, 'notes'), 'utf8').catch(() => '')

function start(command: string): ChildProcess {
  const mounts = [
    `mount --bind '${folder.path}/os-release' /etc/os-release`,
    `mount --bind '${sbin}' /usr/sbin`,
  ]
  const script = [...mounts, `exec ${command}`].join('\n')
  return spawn('unshare', ['--mount', 'bash', '-ec', script], {
    env: { ...process.env, PATH: `${folder.path}/bin:${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
}

async function run(command = `${setup} run`) {
  const child = start(command)
  const [stdout, stderr, [code]] = await Promise.all([
    child.stdout ? text(child.stdout) : '',
    child.stderr ? text(child.stderr) : '',
    once(child, 'close'),
  ])
  return { code, stdout, stderr }
}

describe.skipIf(!mayMount)('setup', () => {
  test('with everything there does nothing, on any system', async () => {
    await installed(() => true)
    for (const release of ['ID=debian\nVERSION_ID="12"\n', 'ID=ubuntu\nVERSION_ID="24.04"\n', '']) {
      await system(release)
      expect(await run()).toEqual({ code: 0, stdout: '', stderr: '' })
    }
    expect(await notes()).toBe('')
  })

  test('on Debian 12 installs what is missing, without starting services', async () => {
    expect(await run()).toEqual({ code: 0, stdout: `installing ${wanted}\n`, stderr: '' })
    expect((await notes()).split('\n')).toEqual([
      '-qq update',
      'policy 101',
      `-qq install -y --no-install-recommends ${wanted}`,
      'policy 101',
      '',
    ])
    expect(await readdir(sbin)).toEqual([])
  })

  test('sourced goes on in the same shell', async () => {
    expect(await run(`bash -euc '. ${setup} run; echo still here'`)).toMatchObject({
      code: 0,
      stdout: `installing ${wanted}\nstill here\n`,
    })
  })

  test('tries once more when the mirror fails', async () => {
    await aptGet(
      `[ $(grep -c update '${folder.path}/notes') -ge 2 ] || { echo 'E: 503' >&2; exit 100; }`,
    )
    const { code, stderr } = await run()
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'E: 503\napt-get failed: trying once more\n',
    })
  })

  test.each([
    ['executed', `${setup} run`],
    ['sourced', `bash -euc '. ${setup} run; echo still here'`],
  ])('%s fails when installing does, and leaves no policy', async (_, command) => {
    await aptGet('exit 100')
    const { code, stdout } = await run(command)
    expect({ code, stdout }).toEqual({ code: 100, stdout: `installing ${wanted}\n` })
    expect(await readdir(sbin)).toEqual([])
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('leaves no policy at %s', async (signal) => {
    await aptGet('sleep 300')
    const child = start(`${setup} run`)
    const ended = once(child, 'close')
    await expect.poll(notes).toContain('policy 101')
    // As the terminal does, to everybody.
    process.kill(-(child.pid ?? 0), signal)
    await ended
    await expect.poll(() => readdir(sbin)).toEqual([])
  })

  test("leaves the machine's own policy as it is, and takes away what an earlier run left", async () => {
    const policy = join(sbin, 'policy-rc.d')
    await writeFile(policy, '#!/bin/sh\nexit 104\n', { mode: 0o755 })
    await run()
    expect(await readFile(policy, 'utf8')).toBe('#!/bin/sh\nexit 104\n')
    const ours = "#!/bin/sh\n# made by Slipway's scripts/setup, which removes it\nexit 101\n"
    await writeFile(policy, ours)
    await run()
    expect(await readdir(sbin)).toEqual([])
  })

  test.each(['ID=debian\nVERSION_ID="13"\n', 'ID=ubuntu\nVERSION_ID="12"\n', ''])(
    'on another system says what is missing: %j',
    async (release) => {
      await system(release)
      const { code, stdout, stderr } = await run()
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/^the example package set is made from Debian 12's programs/)
      expect(await notes()).toBe('')
    },
  )

  test('on another system names the programs that are missing', async () => {
    await system('ID=fedora\n')
    await program('dpkg-query', 'exit 127')
    for (const name of ['nix-store', 'igzip']) await rm(join(folder.path, 'bin', name))
    // Of the PATH, only what the script itself calls.
    for (const name of ['bash', 'comm', 'dirname', 'git', 'grep', 'sed', 'sort']) {
      await program(name, `exec ${spawnSync('which', [name]).stdout.toString().trim()} "$@"`)
    }
    const { code, stderr } = await run(`env PATH='${folder.path}/bin' bash ${setup} run`)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^missing programs: nix-store igzip npm; .*\n.*Debian 12/)
  })
})
