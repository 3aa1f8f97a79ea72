/** Pulls, runs and failures as a person with Docker sees them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Docker } from '../support/docker.ts'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'

let packages: PackageSet
let workspace: Workspace
let slipway: Slipway
let docker: Docker

const resources = new AsyncDisposableStack()

beforeAll(async () => {
  packages = resources.use(await PackageSet.create())
  workspace = resources.use(await Workspace.create())
  docker = resources.use(await Docker.start())
  const settings = { ...workspace.settings(packages.folder), NIX_TIMEOUT: '5' }
  slipway = resources.use(await Slipway.start(settings))
})
afterAll(() => resources.disposeAsync())

const run = (image: string, ...command: string[]) =>
  docker.run('run', '--rm', '--network', 'none', `${slipway.registry}/${image}`, ...command)

describe('docker pull and run', () => {
  test.each([
    ['release-v1', '1.0'],
    ['release-v2', '2.0'],
  ])('docker runs custom-service:%s, which is version %s', async (tag, version) => {
    await docker.run('pull', `${slipway.registry}/custom-service:${tag}`)
    expect(await run(`custom-service:${tag}`, 'custom-service', '--version')).toContain(version)
  })

  test('docker starts the main program by default', async () => {
    const container = await docker.run(
      ...['run', '--detach', '--network', 'none'],
      `${slipway.registry}/custom-service:release-v2`,
    )
    try {
      const busybox = `${await packages.build('busybox')}/bin/busybox`
      const request = `until ${busybox} wget -qO- 127.0.0.1:8080; do ${busybox} sleep 0.1; done`
      expect(await docker.run('exec', container, busybox, 'sh', '-c', request)).toContain('2.0')
    } finally {
      await docker.run('rm', '--force', container)
    }
  })

  test('docker runs a shell with git and jq from shell/git/jq', async () => {
    await docker.run('pull', `${slipway.registry}/shell/git/jq`)
    const script =
      'git --version; echo \'{"a":[1,2]}\' | jq -c .a; type -p nano; env true && echo env'
    const lines = (await run('shell/git/jq', 'bash', '-c', script)).split('\n')
    expect(lines).toEqual([expect.stringMatching(/^git version/), '[1,2]', '/bin/nano', 'env'])
  })

  test('docker pulls the same image by digest and by tag', async () => {
    const image = `${slipway.registry}/jq`
    const digest = /sha256:[a-f0-9]{64}/.exec(await docker.run('pull', `${image}:release-v1`))?.[0]
    await docker.run('pull', `${image}@${digest}`)
    expect(await docker.run('inspect', '--format', '{{.Id}}', `${image}@${digest}`)).toBe(
      await docker.run('inspect', '--format', '{{.Id}}', `${image}:release-v1`),
    )
  })

  test('docker sees the image config of the package', async () => {
    const image = `${slipway.registry}/dashboard`
    await docker.run('pull', image)
    const config = JSON.parse(await docker.run('inspect', '--format', '{{json .Config}}', image))
    expect(config).toMatchObject({
      User: '65534:65534',
      ExposedPorts: { '8080/tcp': {} },
      WorkingDir: '/tmp',
      Labels: { 'com.example.team': 'web' },
    })
    expect(config.Env).toContain('DASHBOARD_THEME=dark')
    expect(config.Env).toContain('SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt')
    expect(config.Cmd).toEqual([expect.stringMatching(/^\/nix\/store\/.*\/bin\/dashboard$/)])
  })
})

describe('failures that docker shows', () => {
  test.each([
    ['gti', /manifest unknown: the package set has no package "gti"; the nearest names are .*git/],
    ['jq/nothing-like-it/gti', /no package "gti".*no package "nothing-like-it"/],
    ['jq:release-v3', /manifest unknown: "release-v3" is no tag.*release-v1/],
    ['tools', /"tools" is a set of packages.*tools\.greeter/],
    ['broken-eval', /package broken-eval cannot be evaluated/],
    ['broken-type', /package broken-type cannot be evaluated/],
    ['broken-abort', /package broken-abort cannot be evaluated/],
    [
      'jq/broken-build',
      /package broken-build: the builder failed with exit code \d+; the end of its log/,
    ],
    ['sleeper', /package sleeper: the builder ran past 5 seconds, the limit that NIX_TIMEOUT sets/],
  ])('docker shows why the pull of %s failed', async (image, message) => {
    expect(await docker.failToPull(`${slipway.registry}/${image}`)).toMatch(message)
  })

  test('docker shows that a push is not supported', async () => {
    const image = `${slipway.registry}/custom-service:release-v1`
    await docker.run('pull', image)
    const pushed = docker.run('push', image)
    await expect(pushed).rejects.toMatchObject({
      stderr: expect.stringMatching(/not supported|unsupported/i),
    })
  })
})
