import { describe, expect, test } from 'vitest'
import { readConfig, unknownSettings } from '../../service/config/config.ts'
import { ConfigError } from '../../service/config/config-error.ts'

const git = { NIXERY_PKGS_REPO: 'https://git.example.com/packages.git' }

function mistakes(environment: NodeJS.ProcessEnv): string {
  try {
    readConfig(environment)
    return ''
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message
  }
}

describe('configuration', () => {
  test('has the documented defaults', () => {
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

  test('takes an empty value for one that is not set', () => {
    expect(readConfig({ ...git, PORT: '', NIXERY_CHANNEL: '' }).port).toBe(8080)
  })

  test('reports all mistakes at once, each with variable, value and what would be right', () => {
    const text = mistakes({
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

  test('without a source shows the choices', () => {
    expect(mistakes({})).toMatch(/NIXERY_PKGS_REPO \(.*NIXERY_PKGS_PATH \(.*NIXERY_CHANNEL \(/)
  })

  test('with more than one source names them', () => {
    expect(mistakes({ ...git, NIXERY_CHANNEL: 'nixos-unstable' })).toMatch(
      /NIXERY_PKGS_REPO and NIXERY_CHANNEL: are set; set exactly one of/,
    )
  })

  test('never shows a source, which may hold credentials', () => {
    const secret = 'https://user:hunter2@git.example.com/p.git'
    expect(mistakes({ NIXERY_PKGS_REPO: secret, PORT: 'x', NIXERY_CHANNEL: 'a' })).not.toContain(
      'hunter2',
    )
  })

  test('finds misspelt settings', () => {
    expect(unknownSettings({ SLIPWAY_POL_INTERVAL: '1', SLIPWAY_HOST: '::', HOME: '/' })).toEqual([
      'SLIPWAY_POL_INTERVAL',
    ])
  })
})

describe('a bucket', () => {
  const bucket = { ...git, NIXERY_STORAGE_BACKEND: 'gcs', GCS_BUCKET: 'layers' }

  test('is named by GCS_BUCKET; blobs are fetched there, by URLs that a key signs', () => {
    expect(readConfig(bucket).storage).toEqual({
      backend: 'gcs',
      bucket: 'layers',
      signByIam: false,
      redirect: true,
    })
  })

  test('may have its own credentials, endpoint, way of signing, and no redirects', () => {
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
  ])('%j is a mistake', (setting, expected) => {
    expect(mistakes({ ...bucket, ...setting })).toMatch(expected)
  })

  test('that is not chosen needs no settings', () => {
    expect(mistakes({ ...git, GOOGLE_APPLICATION_CREDENTIALS: '/nowhere.json' })).toBe('')
  })
})
