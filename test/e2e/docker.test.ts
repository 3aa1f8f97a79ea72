/** What a person with Docker sees. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Docker } from '../support/docker.ts'
import { PackageSet } from '../support/package-set.ts'
import { Slipway, Workspace } from '../support/slipway.ts'

let packages: PackageSet
let workspace: Workspace
let slipway: Slipway
let docker: Docker

beforeAll(async () => {
  packages = await PackageSet.create()
  workspace = await Workspace.create()
  docker = await Docker.start()
  slipway = await Slipway.start({ ...workspace.settings(packages.folder), NIX_TIMEOUT: '5' })
})

afterAll(async () => {
  await slipway?.[Symbol.asyncDispose]()
  await docker?.[Symbol.asyncDispose]()
  await workspace?.[Symbol.asyncDispose]()
  await packages?.[Symbol.asyncDispose]()
})

const run = (image: string, ...command: string[]) =>
  docker.run('run', '--rm', '--network', 'none', `${slipway.registry}/${image}`, ...command)

describe('docker pull and run', () => {
  test.each([
    ['release-v1', '1.0'],
    ['release-v2', '2.0'],
  ])('of custom-service:%s gives that release', async (tag, version) => {
    await docker.run('pull', `${slipway.registry}/custom-service:${tag}`)
    expect(await run(`custom-service:${tag}`, 'custom-service', '--version')).toContain(version)
  })

  test('starts the main program without being told', async () => {
    const container = await docker.run(
      ...['run', '--detach', '--network', 'none'],
      `${slipway.registry}/custom-service:release-v2`,
    )
    try {
      const busybox = `${await packages.build('busybox')}/bin/busybox`
      const ask = `for i in 1 2 3 4 5; do ${busybox} wget -qO- 127.0.0.1:8080 && exit; sleep 1; done`
      expect(await docker.run('exec', container, busybox, 'sh', '-c', ask)).toContain('2.0')
    } finally {
      await docker.run('rm', '--force', container)
    }
  })

  test('of shell/git/jq gives a shell with git and jq', async () => {
    await docker.run('pull', `${slipway.registry}/shell/git/jq`)
    const script =
      'git --version; echo \'{"a":[1,2]}\' | jq -c .a; type -p nano; env true && echo env'
    const lines = (await run('shell/git/jq', 'bash', '-c', script)).split('\n')
    expect(lines).toEqual([expect.stringMatching(/^git version/), '[1,2]', '/bin/nano', 'env'])
  })

  test('by digest gives the same image as by tag', async () => {
    const image = `${slipway.registry}/jq`
    const digest = /sha256:[a-f0-9]{64}/.exec(await docker.run('pull', `${image}:release-v1`))?.[0]
    await docker.run('pull', `${image}@${digest}`)
    expect(await docker.run('inspect', '--format', '{{.Id}}', `${image}@${digest}`)).toBe(
      await docker.run('inspect', '--format', '{{.Id}}', `${image}:release-v1`),
    )
  })

  test('takes the config that a package brings', async () => {
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

describe('what docker shows of a pull that fails', () => {
  test.each([
    // image, what the message must say
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
  ])('%s', async (image, message) => {
    expect(await docker.failToPull(`${slipway.registry}/${image}`)).toMatch(message)
  })

  test('a push is refused with the reason', async () => {
    const image = `${slipway.registry}/custom-service:release-v1`
    await docker.run('pull', image)
    const pushed = docker.run('push', image)
    await expect(pushed).rejects.toMatchObject({
      stderr: expect.stringMatching(/not supported|unsupported/i),
    })
  })
})
