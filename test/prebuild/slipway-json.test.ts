import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import {
  type PrebuildConfig,
  parsePrebuildConfig,
  prebuildConfigSchema,
} from '../../service/prebuild/slipway-json.ts'
import { globFailure } from '../../service/text/globs.ts'

const schemaFile = join(import.meta.dirname, '../../nix/slipway.schema.json')

function configOf(text: string): PrebuildConfig {
  const config = parsePrebuildConfig(text)
  if (config instanceof Failure) throw config
  return config
}

function failureOf(text: string): Failure {
  const failure = parsePrebuildConfig(text)
  if (failure instanceof Failure) return failure
  throw new Error(`${text} is valid`)
}

describe('slipway.json', () => {
  test('slipway.json names images, and globs of tags and branches', () => {
    const { images, tags, branches } = configOf(
      '{ "images": ["custom-service", "shell/git"], "tags": ["release-*"], "branches": ["main"] }',
    )
    expect(images).toEqual([parseImageName('custom-service'), parseImageName('shell/git')])
    expect(tags?.texts).toEqual(['release-*'])
    expect(branches?.matches('main')).toBe(true)
  })

  test('every key of slipway.json is optional', () => {
    expect(configOf('{}')).toEqual({ images: [] })
  })

  test('an empty list of globs in slipway.json excludes all refs of its kind', () => {
    expect(configOf('{"tags": []}').tags?.matches('v1')).toBe(false)
  })

  test('slipway.json may name its schema and begin with a byte order mark', () => {
    expect(configOf('\uFEFF{"$schema": "./slipway.schema.json"}').images).toEqual([])
  })

  test('all failures of slipway.json are reported, each with its place and value', () => {
    const content = {
      images: ['git', 'Git', 7],
      tags: ['v*', '!v2'],
      branches: 'main',
      image: ['git'],
    }
    const lines = failureOf(JSON.stringify(content)).message.split('\n')
    expect(lines).toHaveLength(5)
    expect(lines[0]).toMatch(
      /^slipway\.json: images\[1\]: "Git" is not an image name: .*lower-case/,
    )
    expect(lines[1]).toBe('slipway.json: images[2]: 7 is not a string with an image name')
    expect(lines[2]).toMatch(/^slipway\.json: tags\[1\]: "!v2" is not a glob of ref names: /)
    expect(lines[3]).toBe('slipway.json: branches: "main" is not a list of globs')
    expect(lines[4]).toBe(
      'slipway.json: "image": there is no such key; the keys are images, tags, branches',
    )
  })

  test('the failures of slipway.json are also in the detail of the Failure', () => {
    const { kind, detail } = failureOf('{"tags": 5}')
    expect(kind).toBe('evaluation-failed')
    expect(detail).toEqual({ failures: [{ place: 'tags', failure: '5 is not a list of globs' }] })
  })

  test.each([
    ['', /^slipway\.json: is not JSON: /],
    ['{"images": ["git",]}', /^slipway\.json: is not JSON: /],
    ['null', /^slipway\.json: null is not an object such as/],
    ['["git"]', /^slipway\.json: \["git"\] is not an object such as/],
    ['{"images": null}', /^slipway\.json: images: null is not a list of image names/],
    [`{"tags": "${'x'.repeat(1000)}"}`, /^slipway\.json: tags: "x{59}… is not a list/],
  ])('slipway.json with the content %s is invalid', (text, message) => {
    expect(failureOf(text).message).toMatch(message)
  })

  test('the parser of slipway.json never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.json().map(asConfig)), (text) => {
        expect(() => parsePrebuildConfig(text)).not.toThrow()
      }),
    )
  })
})

describe('the JSON schema of slipway.json', () => {
  test('the schema in nix/ is the generated one', async () => {
    await expect(
      `${JSON.stringify(prebuildConfigSchema(), null, 2)}\n`,
      'nix/slipway.schema.json is out of date; write it with: npx vitest run --project unit slipway-json -u',
    ).toMatchFileSnapshot(schemaFile)
  })

  const { properties } = prebuildConfigSchema() as {
    properties: Record<'images' | 'tags', { items: { pattern: string } }>
  }
  const pattern = (key: 'images' | 'tags') => new RegExp(properties[key].items.pattern, 'u')

  test.each(['git', 'a.b/c-d/e_f', '7zip', 'a__b--c'])(
    'the schema accepts the image name %s',
    (name) => {
      expect(parseImageName(name).text).toMatch(pattern('images'))
    },
  )

  test('the schema accepts the same globs as the service', () => {
    const text = fc.string({
      unit: fc.constantFrom(...'av*?!/[]{}\\ :~^\n', 'refs/'),
      maxLength: 20,
    })
    fc.assert(
      fc.property(text, (glob) => {
        expect(pattern('tags').test(glob)).toBe(globFailure(glob) === undefined)
      }),
    )
  })
})

function asConfig(json: string): string {
  return `{"images": ${json}, "tags": [${json}]}`
}
