import { describe, expect, test } from 'vitest'
import { containerConfig } from '../../service/image/container-config.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { evaluated, type FakePackage, storePathOf } from '../support/fake-nix.ts'

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Returns the config of an image of these packages. */
function configOf(packages: Record<string, FakePackage>, name = Object.keys(packages).join('/')) {
  const requested = Object.entries(packages).map(([one, facts]) => evaluated(one, facts))
  return containerConfig(parseImageName(name), requested, false)
}

describe('defaults', () => {
  test('the default config has a search path and nothing else', () => {
    expect(configOf({ git: {} })).toEqual({ Env: [path] })
  })

  test('an image with certificates has SSL_CERT_FILE', () => {
    expect(containerConfig(parseImageName('git'), [evaluated('git')], true).Env).toEqual([
      path,
      'SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt',
    ])
  })

  test('an image with shell in its name starts bash, not a main program', () => {
    expect(configOf({ hello: { mainProgram: 'hello' } }, 'shell/hello').Cmd).toEqual(['bash'])
  })
})

describe('main program', () => {
  test('the only main program is the command, by its absolute path', () => {
    expect(configOf({ git: {}, hello: { mainProgram: 'hi' } }).Cmd).toEqual([
      `${storePathOf('hello')}/bin/hi`,
    ])
  })

  test('an image whose packages have several main programs has no command', () => {
    const packages = { hello: { mainProgram: 'hello' }, htop: { mainProgram: 'htop' } }
    expect(configOf(packages)).not.toHaveProperty('Cmd')
  })

  test('two names of one package count as one main program', () => {
    const same = { storePath: storePathOf('hello'), mainProgram: 'hello' }
    expect(configOf({ hello: same, hallo: same }).Cmd).toEqual([
      `${storePathOf('hello')}/bin/hello`,
    ])
  })
})

describe('imageConfig of a package', () => {
  test('imageConfig may have every field of the config', () => {
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

  test('Cmd replaces the main program', () => {
    const packages = { hello: { mainProgram: 'hello', imageConfig: { Cmd: ['serve'] } } }
    expect(configOf(packages).Cmd).toEqual(['serve'])
  })

  test('Cmd replaces bash', () => {
    const packages = { hello: { imageConfig: { Cmd: ['serve'] } } }
    expect(configOf(packages, 'shell/hello').Cmd).toEqual(['serve'])
  })

  test('Entrypoint removes the default command', () => {
    const packages = { hello: { mainProgram: 'hello', imageConfig: { Entrypoint: ['/bin/init'] } } }
    const config = configOf(packages)
    expect(config.Entrypoint).toEqual(['/bin/init'])
    expect(config).not.toHaveProperty('Cmd')
  })

  test('a variable in Env replaces the default of the same name', () => {
    expect(configOf({ hello: { imageConfig: { Env: ['PATH=/bin'] } } }).Env).toEqual(['PATH=/bin'])
  })
})

describe('imageConfig of several packages', () => {
  const user = (User: string, priority: number) => ({ priority, imageConfig: { User } })

  test.each([
    ['a package with a lower priority', { a: user('of a', 6), b: user('of b', 5) }, 'of b'],
    [
      'a package with a lower priority that comes first',
      { a: user('of a', 5), b: user('of b', 6) },
      'of a',
    ],
    [
      'at equal priority, the package whose name comes first',
      { b: user('of b', 5), a: user('of a', 5) },
      'of a',
    ],
  ])('%s wins a field', (_, packages, expected) => {
    expect(configOf(packages).User).toBe(expected)
  })

  test('maps and variables of several packages are merged by name', () => {
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

  test('the Entrypoint of the winning package removes the Cmd of another', () => {
    const weak = { priority: 9, imageConfig: { Entrypoint: ['/weak'], Cmd: ['weak'] } }
    const strong = { priority: 1, imageConfig: { Entrypoint: ['/strong'] } }
    const config = configOf({ weak, strong })
    expect(config.Entrypoint).toEqual(['/strong'])
    expect(config).not.toHaveProperty('Cmd')
  })

  test('the Cmd of the winning package is kept with the Entrypoint of another', () => {
    const weak = { priority: 9, imageConfig: { Entrypoint: ['/weak'], Cmd: ['weak'] } }
    const strong = { priority: 1, imageConfig: { Cmd: ['strong'] } }
    expect(configOf({ weak, strong })).toMatchObject({ Entrypoint: ['/weak'], Cmd: ['strong'] })
  })

  test('the order of the requested packages has no effect on the config', () => {
    const a = { imageConfig: { User: 'a', Env: ['A=1'] } }
    const b = { imageConfig: { WorkingDir: '/b', Env: ['B=1'] } }
    expect(JSON.stringify(configOf({ a, b }))).toBe(JSON.stringify(configOf({ b, a })))
  })
})

describe('invalid imageConfig', () => {
  test.each([
    ['a User that is a number', { User: 1 }, 'imageConfig.User'],
    ['a port without a number', { ExposedPorts: { http: {} } }, 'imageConfig.ExposedPorts.http'],
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
    ['an unknown StopSignal', { StopSignal: 'TERM' }, 'imageConfig.StopSignal'],
    ['Healthcheck without a test', { Healthcheck: {} }, 'imageConfig.Healthcheck.Test'],
    [
      'a fraction of a nanosecond',
      { Healthcheck: { Test: [], Interval: 0.5 } },
      'imageConfig.Healthcheck.Interval',
    ],
    ['a field that is null', { Cmd: null }, 'imageConfig.Cmd'],
    ['an unknown field', { Comand: ['a'] }, 'Comand'],
    ['an imageConfig that is no set', 'bash', 'imageConfig: '],
  ])('the failure for %s names the package and the field', (_, imageConfig, field) => {
    expect(() => configOf({ git: {}, service: { imageConfig } })).toThrow(
      expect.objectContaining({
        kind: 'evaluation-failed',
        message: expect.stringMatching(
          new RegExp(`^package service: .*${field.replaceAll('.', '\\.')}`),
        ),
      }),
    )
  })

  test('all invalid fields are in one message', () => {
    const imageConfig = { User: 1, WorkingDir: 'srv' }
    expect(() => configOf({ service: { imageConfig } })).toThrow(
      /imageConfig\.User: .*; imageConfig\.WorkingDir: /,
    )
  })
})
