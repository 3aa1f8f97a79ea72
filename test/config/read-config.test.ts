import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../service/config/config-error.ts'
import { readConfig } from '../../service/config/read-config.ts'
import { unknownSettings } from '../../service/config/settings.ts'

const git = { NIXERY_PKGS_REPO: 'https://git.example.com/packages.git' }

/** Returns the message of the ConfigError; empty if the settings are right. */
function failuresOf(environment: NodeJS.ProcessEnv): string {
  try {
    readConfig(environment)
    return ''
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message
  }
}

describe('readConfig', () => {
  test('settings have the documented defaults', () => {
    expect(readConfig(git)).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      source: { kind: 'git', url: git.NIXERY_PKGS_REPO },
      storage: { backend: 'filesystem', path: expect.stringMatching(/\/var\/storage$/) },
      statePath: expect.stringMatching(/\/var\/state$/),
      pollInterval: 60,
      builderTimeout: 60,
      evaluationTimeout: 120,
      pullWait: 300,
      layerBudget: 94,
      compression: 'gzip',
    })
  })

  test('an empty value counts as not set', () => {
    expect(readConfig({ ...git, PORT: '', NIXERY_CHANNEL: '' }).port).toBe(8080)
  })

  test('all wrong settings are reported at once, with value and what would be right', () => {
    const text = failuresOf({
      PORT: '70000',
      NIX_TIMEOUT: 'soon',
      NIXERY_STORAGE_BACKEND: 's3',
      SLIPWAY_COMPRESSION: 'brotli',
      SLIPWAY_LAYER_BUDGET: '1',
    })
    expect(text).toContain('PORT="70000": must be a port number from 0 to 65535')
    expect(text).toContain('NIX_TIMEOUT="soon": must be a whole number of seconds, 1 or more')
    expect(text).toContain('NIXERY_STORAGE_BACKEND="s3": must be one of: filesystem, gcs')
    expect(text).toContain('SLIPWAY_COMPRESSION="brotli": must be one of: gzip, zstd, none')
    expect(text).toContain('SLIPWAY_LAYER_BUDGET="1": must be a whole number from 2 to 127')
    expect(text).toContain('no source')
  })

  test('the failure for a missing source names the settings that choose one', () => {
    expect(failuresOf({})).toMatch(/NIXERY_PKGS_REPO \(.*NIXERY_PKGS_PATH \(.*NIXERY_CHANNEL \(/)
  })

  test('the failure for two sources names both', () => {
    expect(failuresOf({ ...git, NIXERY_CHANNEL: 'nixos-unstable' })).toMatch(
      /NIXERY_PKGS_REPO and NIXERY_CHANNEL: are set; set exactly one of/,
    )
  })

  test('no failure shows a source URL, which may hold credentials', () => {
    const secret = 'https://user:hunter2@git.example.com/p.git'
    expect(failuresOf({ NIXERY_PKGS_REPO: secret, PORT: 'x', NIXERY_CHANNEL: 'a' })).not.toContain(
      'hunter2',
    )
  })

  test.each([
    ['SLIPWAY_WEBHOOK_SECRET', 'hunter2\n', /^SLIPWAY_WEBHOOK_SECRET: must be without white space/],
    ['SLIPWAY_PUBLIC_URL', 'ftp://u:hunter2@x', /^SLIPWAY_PUBLIC_URL: must be an http\(s\) URL$/],
    ['NIX_POPULARITY_URL', 'ftp://u:hunter2@x', /^NIX_POPULARITY_URL: must be an https: or file:/],
  ])('the failure for %s does not show its value', (variable, value, expected) => {
    const failures = failuresOf({ ...git, [variable]: value })
    expect(failures).toMatch(expected)
    expect(failures).not.toContain('hunter2')
  })

  test('TLS needs both a certificate and a key', () => {
    expect(failuresOf({ ...git, SLIPWAY_TLS_CERT: import.meta.filename })).toMatch(
      /^SLIPWAY_TLS_KEY: is not set, but the other one is/,
    )
  })

  test('a misspelt setting is found', () => {
    expect(unknownSettings({ SLIPWAY_POL_INTERVAL: '1', SLIPWAY_HOST: '::', HOME: '/' })).toEqual([
      'SLIPWAY_POL_INTERVAL',
    ])
  })
})

describe('storage in a bucket', () => {
  const bucket = { ...git, NIXERY_STORAGE_BACKEND: 'gcs', GCS_BUCKET: 'layers' }

  test('clients of a bucket are redirected to URLs that a key signs, by default', () => {
    expect(readConfig(bucket).storage).toEqual({
      backend: 'gcs',
      bucket: 'layers',
      signByIam: false,
      redirect: true,
    })
  })

  test('a bucket may have credentials, an endpoint, IAM signing and no redirects', () => {
    const more = {
      GOOGLE_APPLICATION_CREDENTIALS: import.meta.filename,
      SLIPWAY_GCS_SIGN: 'iam',
      SLIPWAY_GCS_REDIRECT: '0',
      SLIPWAY_GCS_ENDPOINT: 'https://storage.example.com',
    }
    expect(readConfig({ ...bucket, ...more }).storage).toEqual({
      backend: 'gcs',
      bucket: 'layers',
      credentialsPath: import.meta.filename,
      signByIam: true,
      redirect: false,
      endpoint: new URL('https://storage.example.com'),
    })
  })

  test.each([
    [{ GCS_BUCKET: '' }, /^GCS_BUCKET: is not set: NIXERY_STORAGE_BACKEND=gcs needs the name/],
    [{ GCS_BUCKET: 'gs://layers' }, /^GCS_BUCKET="gs:\/\/layers": must be the name of a bucket/],
    [
      { GOOGLE_APPLICATION_CREDENTIALS: '/nowhere.json' },
      /^GOOGLE_APPLICATION_CREDENTIALS="\/nowhere.json": must be a file that can be read/,
    ],
    [{ SLIPWAY_GCS_SIGN: 'yes' }, /^SLIPWAY_GCS_SIGN="yes": must be one of: key, iam/],
    [{ SLIPWAY_GCS_REDIRECT: 'no' }, /^SLIPWAY_GCS_REDIRECT="no": must be 1, or 0/],
    [{ SLIPWAY_GCS_ENDPOINT: 'storage' }, /^SLIPWAY_GCS_ENDPOINT="storage": must be an http/],
  ])('the setting %j is reported with what would be right', (setting, expected) => {
    expect(failuresOf({ ...bucket, ...setting })).toMatch(expected)
  })

  test('settings of a bucket are not checked for storage on the file system', () => {
    expect(failuresOf({ ...git, GOOGLE_APPLICATION_CREDENTIALS: '/nowhere.json' })).toBe('')
  })
})
