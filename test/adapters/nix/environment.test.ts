import { expect, test } from 'vitest'
import { evaluationEnvironment, nixEnvironment } from '../../../service/adapters/nix/environment.ts'

test('Nix processes get variables of Nix, git and ssh, and no secret of the service', () => {
  const environment = nixEnvironment({
    HOME: '/home/slipway',
    PATH: '/bin',
    NIX_CONFIG: 'cores = 2',
    NIX_REMOTE: 'daemon',
    SSH_AUTH_SOCK: '/run/agent',
    GIT_SSH_COMMAND: 'ssh -i key',
    https_proxy: 'http://proxy.example.com:3128',
    HTTP_PROXY: 'http://user:secret@proxy.example.com:3128',
    XDG_CONFIG_HOME: '/home/slipway/config',
    NIX_TIMEOUT: '60',
    NIX_POPULARITY_URL: 'https://user:secret@example.com',
    NIXERY_PKGS_REPO: 'https://user:secret@example.com/p.git',
    SLIPWAY_WEBHOOK_SECRET: 'secret',
    SLIPWAY_GITHUB_TOKEN: 'secret',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_VALUE_0: 'Authorization: secret',
    AWS_SECRET_ACCESS_KEY: 'secret',
  })
  expect(environment).toEqual({
    HOME: '/home/slipway',
    PATH: '/bin',
    NIX_CONFIG: 'cores = 2',
    NIX_REMOTE: 'daemon',
    SSH_AUTH_SOCK: '/run/agent',
    GIT_SSH_COMMAND: 'ssh -i key',
    https_proxy: 'http://proxy.example.com:3128',
    XDG_CONFIG_HOME: '/home/slipway/config',
    GIT_TERMINAL_PROMPT: '0',
    NO_COLOR: '1',
    LC_ALL: 'C',
  })
})

test('an evaluation has an empty home, and variables that name the files of Nix and git', () => {
  const environment = { HOME: '/home/slipway', PATH: '/bin', XDG_CONFIG_HOME: '/etc/slipway' }
  expect(evaluationEnvironment(environment, '/empty')).toEqual({
    HOME: '/empty',
    PATH: '/bin',
    NIX_USER_CONF_FILES: '/etc/slipway/nix/nix.conf',
    GIT_CONFIG_GLOBAL: '/home/slipway/.gitconfig',
    XDG_CACHE_HOME: '/home/slipway/.cache',
  })
})

test('an evaluation keeps the paths that the environment sets', () => {
  const environment = {
    HOME: '/h',
    GIT_CONFIG_GLOBAL: '/g',
    NIX_USER_CONF_FILES: '/n',
    XDG_CACHE_HOME: '/c',
  }
  expect(evaluationEnvironment(environment, '/empty')).toEqual({ ...environment, HOME: '/empty' })
})
