// Runs setup with a fake apt-get and dpkg-query in a mount namespace of its own, so that the machine is not
// changed.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TemporaryFolder } from '../support/temporary-folder.ts'

const root = resolve(import.meta.dirname, '../..')
const mayMount = spawnSync('unshare', ['--mount', 'true']).status === 0

/** Debian package that is not installed. */
const missing = 'hello'

let folder: TemporaryFolder
/** Copy of the script in a root without package-lock.json, so that it does not install npm packages. */
let setup: string
/** Folder that the script sees as /usr/sbin. */
let sbin: string

beforeEach(async () => {
  folder = await TemporaryFolder.create()
  sbin = join(folder.path, 'sbin')
  await mkdir(sbin)
  await mkdir(join(folder.path, 'bin'))
  for (const file of ['scripts/setup', 'nix/host/debian-packages']) {
    await cp(join(root, file), join(folder.path, 'root', file))
  }
  setup = join(folder.path, 'root/scripts/setup')
  for (const name of ['nix-store', 'igzip', 'patchelf', 'skopeo']) await program(name, '')
  await system('ID=debian\nVERSION_ID="12"\n')
  await installed((name) => name !== missing)
  await aptGet('exit 0')
  // Between two attempts the script sleeps.
  await program('sleep', '')
})
afterEach(() => folder[Symbol.asyncDispose]())

const system = (release: string) => writeFile(join(folder.path, 'os-release'), release)

async function program(name: string, script: string): Promise<void> {
  const path = join(folder.path, 'bin', name)
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
}

/** Sets which Debian packages of the example set are installed. */
async function installed(isInstalled: (name: string) => boolean): Promise<void> {
  const list = await readFile(join(root, 'nix/host/debian-packages'), 'utf8')
  const names = list.split('\n').filter((name) => !name.startsWith('#') && isInstalled(name))
  await program('dpkg-query', names.map((name) => `echo 'installed ${name}'`).join('\n'))
}

/** Installs an apt-get that records its arguments and whether services may be started, then runs a script. */
function aptGet(script: string): Promise<void> {
  const record = `{ echo "$@"; /usr/sbin/policy-rc.d; echo policy $?; } >>'${folder.path}/apt-calls' 2>&1`
  return program('apt-get', `${record}\n${script}`)
}

const aptCalls = () => readFile(join(folder.path, 'apt-calls'), 'utf8').catch(() => '')

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

async function run(command = `'${setup}' run`) {
  const child = start(command)
  const [stdout, stderr, [code]] = await Promise.all([
    child.stdout ? text(child.stdout) : '',
    child.stderr ? text(child.stderr) : '',
    once(child, 'close'),
  ])
  return { code, stdout, stderr }
}

describe.skipIf(!mayMount)('setup', () => {
  test('setup does nothing on any system if all programs are installed', async () => {
    await installed(() => true)
    for (const release of ['ID=debian\nVERSION_ID="12"\n', 'ID=ubuntu\nVERSION_ID="24.04"\n', '']) {
      await system(release)
      expect(await run()).toEqual({ code: 0, stdout: '', stderr: '' })
    }
    expect(await aptCalls()).toBe('')
  })

  test('setup installs missing packages on Debian 12 without starting services', async () => {
    expect(await run()).toEqual({ code: 0, stdout: `installing ${missing}\n`, stderr: '' })
    expect((await aptCalls()).split('\n')).toEqual([
      '-qq update',
      'policy 101',
      `-qq install -y --no-install-recommends ${missing}`,
      'policy 101',
      '',
    ])
    expect(await readdir(sbin)).toEqual([])
  })

  test('a shell that sources setup goes on after it', async () => {
    expect(await run(`bash -euc '. ${setup} run; echo still here'`)).toMatchObject({
      code: 0,
      stdout: `installing ${missing}\nstill here\n`,
    })
  })

  test('setup tries once more if the Debian mirror fails', async () => {
    await aptGet(
      `[ $(grep -c update '${folder.path}/apt-calls') -ge 2 ] || { echo 'E: 503' >&2; exit 100; }`,
    )
    const { code, stderr } = await run()
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'E: 503\napt-get failed; trying once more\n',
    })
  })

  test.each([
    ['executed', (script: string) => `${script} run`],
    ['sourced', (script: string) => `bash -euc '. ${script} run; echo still here'`],
  ])('%s setup fails if the installation fails, and removes its policy', async (_, command) => {
    await aptGet('exit 100')
    const { code, stdout } = await run(command(setup))
    expect({ code, stdout }).toEqual({ code: 100, stdout: `installing ${missing}\n` })
    expect(await readdir(sbin)).toEqual([])
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'setup removes its policy at %s',
    async (signal) => {
      await aptGet('exec /bin/sleep 300')
      const child = start(`${setup} run`)
      const ended = once(child, 'close')
      await expect.poll(aptCalls).toContain('policy 101')
      // To the whole process group, as a terminal does.
      process.kill(-(child.pid ?? 0), signal)
      await ended
      await expect.poll(() => readdir(sbin)).toEqual([])
    },
  )

  test("setup keeps the machine's own policy, and removes the policy of an earlier run", async () => {
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
    'setup on a system other than Debian 12 prints what is missing: %j',
    async (release) => {
      await system(release)
      const { code, stdout, stderr } = await run()
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/^the example package set needs programs of Debian 12/)
      expect(await aptCalls()).toBe('')
    },
  )

  test('setup on another system names the missing programs', async () => {
    await system('ID=fedora\n')
    await program('dpkg-query', 'exit 127')
    for (const name of ['nix-store', 'igzip']) await rm(join(folder.path, 'bin', name))
    // The PATH has only the programs that the script itself calls.
    for (const name of ['bash', 'comm', 'dirname', 'git', 'grep', 'sed', 'sort']) {
      await program(name, `exec ${spawnSync('which', [name]).stdout.toString().trim()} "$@"`)
    }
    const { code, stderr } = await run(`env PATH='${folder.path}/bin' bash ${setup} run`)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^missing programs: nix-store igzip npm; .*\n.*Debian 12/)
  })
})
