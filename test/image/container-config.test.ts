import { describe, expect, test } from 'vitest'
import { containerConfig } from '../../service/image/container-config.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { evaluated, type FakePackage, storePathOf } from '../support/fake-nix.ts'

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The config of an image of these packages. */
function configOf(packages: Record<string, FakePackage>, name = Object.keys(packages).join('/')) {
  const asked = Object.entries(packages).map(([one, facts]) => evaluated(one, facts))
  return containerConfig(parseImageName(name), asked, false)
}

describe('without any wishes of the packages', () => {
  test('there is a search path and nothing else', () => {
    expect(configOf({ git: {} })).toEqual({ Env: [path] })
  })

  test('with certificates there is the variable that names them', () => {
    expect(containerConfig(parseImageName('git'), [evaluated('git')], true).Env).toEqual([
      path,
      'SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt',
    ])
  })

  test('with "shell" in the name bash starts, whatever main programs there are', () => {
    expect(configOf({ hello: { mainProgram: 'hello' } }, 'shell/hello').Cmd).toEqual(['bash'])
  })
})

describe('the main program', () => {
  test('starts by its absolute path, if there is exactly one', () => {
    expect(configOf({ git: {}, hello: { mainProgram: 'hi' } }).Cmd).toEqual([
      `${storePathOf('hello')}/bin/hi`,
    ])
  })

  test('is none when several packages have one', () => {
    const packages = { hello: { mainProgram: 'hello' }, htop: { mainProgram: 'htop' } }
    expect(configOf(packages)).not.toHaveProperty('Cmd')
  })

  test('is one program when two names are the same package', () => {
    const same = { storePath: storePathOf('hello'), mainProgram: 'hello' }
    expect(configOf({ hello: same, hallo: same }).Cmd).toEqual([
      `${storePathOf('hello')}/bin/hello`,
    ])
  })
})

describe('a package may bring', () => {
  test('every field of the config', () => {
    const imageConfig = {
      User: 'nobody:nobody',
      ExposedPorts: { '8080/tcp': {}, '53/udp': {}, '80': {} },
      Env: ['MODE=production', 'EMPTY='],
      Entrypoint: ['/bin/serve'],
      Cmd: ['--verbose'],
      Volumes: { '/var/lib': {} },
      WorkingDir: '/srv',
      Labels: { 'org.example.team': 'blue' },
      StopSignal: 'SIGRTMIN+3',
      Healthcheck: { Test: ['CMD', 'true'], Interval: 1e9, Timeout: 1e9, Retries: 3 },
    }
    expect(configOf({ service: { imageConfig } })).toEqual({
      ...imageConfig,
      Env: [path, 'MODE=production', 'EMPTY='],
    })
  })

  test('a command in place of the main program', () => {
    const packages = { hello: { mainProgram: 'hello', imageConfig: { Cmd: ['serve'] } } }
    expect(configOf(packages).Cmd).toEqual(['serve'])
  })

  test('a command in place of bash', () => {
    const packages = { hello: { imageConfig: { Cmd: ['serve'] } } }
    expect(configOf(packages, 'shell/hello').Cmd).toEqual(['serve'])
  })

  test('an entry point, which makes the command below it void', () => {
    const packages = { hello: { mainProgram: 'hello', imageConfig: { Entrypoint: ['/bin/init'] } } }
    const config = configOf(packages)
    expect(config.Entrypoint).toEqual(['/bin/init'])
    expect(config).not.toHaveProperty('Cmd')
  })

  test('a variable in place of a default', () => {
    expect(configOf({ hello: { imageConfig: { Env: ['PATH=/bin'] } } }).Env).toEqual(['PATH=/bin'])
  })
})

describe('of several packages', () => {
  const user = (User: string, priority: number) => ({ priority, imageConfig: { User } })

  test.each([
    ['the lower priority wins', { a: user('of a', 6), b: user('of b', 5) }, 'of b'],
    ['in either order', { a: user('of a', 5), b: user('of b', 6) }, 'of a'],
    ['then the name that comes first', { b: user('of b', 5), a: user('of a', 5) }, 'of a'],
  ])('%s', (_, packages, expected) => {
    expect(configOf(packages).User).toBe(expected)
  })

  test('maps and variables are merged by name, the winner’s on top', () => {
    const config = configOf({
      strong: {
        priority: 1,
        imageConfig: {
          Env: ['SHARED=strong', 'STRONG=1'],
          Labels: { shared: 'strong', strong: '1' },
          ExposedPorts: { '80/tcp': {} },
          Volumes: { '/strong': {} },
        },
      },
      weak: {
        priority: 9,
        imageConfig: {
          Env: ['SHARED=weak', 'WEAK=1'],
          Labels: { shared: 'weak', weak: '1' },
          ExposedPorts: { '443/tcp': {} },
          Volumes: { '/weak': {} },
        },
      },
    })
    expect(config).toEqual({
      Env: [path, 'SHARED=strong', 'WEAK=1', 'STRONG=1'],
      Labels: { shared: 'strong', weak: '1', strong: '1' },
      ExposedPorts: { '443/tcp': {}, '80/tcp': {} },
      Volumes: { '/weak': {}, '/strong': {} },
    })
  })

  test('the winner’s entry point keeps its own command alone', () => {
    const weak = { priority: 9, imageConfig: { Entrypoint: ['/weak'], Cmd: ['weak'] } }
    const strong = { priority: 1, imageConfig: { Entrypoint: ['/strong'] } }
    const config = configOf({ weak, strong })
    expect(config.Entrypoint).toEqual(['/strong'])
    expect(config).not.toHaveProperty('Cmd')
  })

  test('the winner’s command goes with the entry point of another', () => {
    const weak = { priority: 9, imageConfig: { Entrypoint: ['/weak'], Cmd: ['weak'] } }
    const strong = { priority: 1, imageConfig: { Cmd: ['strong'] } }
    expect(configOf({ weak, strong })).toMatchObject({ Entrypoint: ['/weak'], Cmd: ['strong'] })
  })

  test('the order in which they were asked for means nothing', () => {
    const a = { imageConfig: { User: 'a', Env: ['A=1'] } }
    const b = { imageConfig: { WorkingDir: '/b', Env: ['B=1'] } }
    expect(JSON.stringify(configOf({ a, b }))).toBe(JSON.stringify(configOf({ b, a })))
  })
})

describe('an invalid field is named, with its package', () => {
  test.each([
    ['User', { User: 1 }, 'imageConfig.User'],
    ['a port', { ExposedPorts: { http: {} } }, 'imageConfig.ExposedPorts.http'],
    [
      'a port with a value',
      { ExposedPorts: { '80/tcp': true } },
      'imageConfig.ExposedPorts.80/tcp',
    ],
    ['a variable without a value', { Env: ['A=1', 'B'] }, 'imageConfig.Env.1'],
    ['a variable with a NUL', { Env: ['A=\0'] }, 'imageConfig.Env.0'],
    ['variables as a map', { Env: { A: '1' } }, 'imageConfig.Env'],
    ['Entrypoint as a string', { Entrypoint: '/bin/sh' }, 'imageConfig.Entrypoint'],
    ['Cmd with a number', { Cmd: ['a', 1] }, 'imageConfig.Cmd.1'],
    ['a relative volume', { Volumes: { 'var/lib': {} } }, 'imageConfig.Volumes.var/lib'],
    ['a relative WorkingDir', { WorkingDir: 'srv' }, 'imageConfig.WorkingDir'],
    ['a label that is no string', { Labels: { a: 1 } }, 'imageConfig.Labels.a'],
    ['StopSignal', { StopSignal: 'TERM' }, 'imageConfig.StopSignal'],
    ['Healthcheck without a test', { Healthcheck: {} }, 'imageConfig.Healthcheck.Test'],
    [
      'a fraction of a nanosecond',
      { Healthcheck: { Test: [], Interval: 0.5 } },
      'imageConfig.Healthcheck.Interval',
    ],
    ['null', { Cmd: null }, 'imageConfig.Cmd'],
    ['an unknown field', { Comand: ['a'] }, 'Comand'],
    ['the whole', 'bash', 'imageConfig: '],
  ])('%s', (_, imageConfig, field) => {
    expect(() => configOf({ git: {}, service: { imageConfig } })).toThrow(
      expect.objectContaining({
        kind: 'evaluation-failed',
        message: expect.stringMatching(
          new RegExp(`^package service: .*${field.replaceAll('.', '\\.')}`),
        ),
      }),
    )
  })

  test('all of them at once', () => {
    const imageConfig = { User: 1, WorkingDir: 'srv' }
    expect(() => configOf({ service: { imageConfig } })).toThrow(
      /imageConfig\.User: .*; imageConfig\.WorkingDir: /,
    )
  })
})
