import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Failure } from '../../service/image/errors.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { prebuildConfigSchema, readPrebuildConfig } from '../../service/prebuild/slipway-json.ts'
import { globFailure } from '../../service/text/globs.ts'

const schemaFile = join(import.meta.dirname, '../../nix/slipway.schema.json')

function failureOf(text: string): Failure {
  try {
    readPrebuildConfig(text)
  } catch (error) {
    if (error instanceof Failure) return error
  }
  throw new Error(`${text} was read`)
}

const mistakes = (content: unknown) => failureOf(JSON.stringify(content)).message.split('\n')

describe('slipway.json', () => {
  test('names images, and globs of tags and branches', () => {
    const { images, tags, branches } = readPrebuildConfig(
      '{ "images": ["custom-service", "shell/git"], "tags": ["release-*"], "branches": ["main"] }',
    )
    expect(images).toEqual([parseImageName('custom-service'), parseImageName('shell/git')])
    expect(tags?.texts).toEqual(['release-*'])
    expect(branches?.matches('main')).toBe(true)
  })

  test('may leave everything out', () => {
    expect(readPrebuildConfig('{}')).toEqual({ images: [] })
  })

  test('may leave all refs of a kind out', () => {
    expect(readPrebuildConfig('{"tags": []}').tags?.matches('v1')).toBe(false)
  })

  test('may name its schema and begin with a byte order mark', () => {
    expect(readPrebuildConfig('\uFEFF{"$schema": "./slipway.schema.json"}').images).toEqual([])
  })

  test('with several mistakes reports them all, each with its place and value', () => {
    const text = mistakes({
      images: ['git', 'Git', 7],
      tags: ['v*', '!v2'],
      branches: 'main',
      image: ['git'],
    })
    expect(text).toHaveLength(5)
    expect(text[0]).toMatch(/^slipway\.json: images\[1\]: "Git" is not an image name: .*lower-case/)
    expect(text[1]).toBe('slipway.json: images[2]: 7 is not an image name, a text')
    expect(text[2]).toMatch(/^slipway\.json: tags\[1\]: "!v2" is not a glob of ref names: /)
    expect(text[3]).toBe('slipway.json: branches: "main" is not a list of globs')
    expect(text[4]).toBe(
      'slipway.json: "image": there is no such key; the keys are images, tags, branches',
    )
  })

  test('gives its mistakes as data too', () => {
    const { kind, detail } = failureOf('{"tags": 5}')
    expect(kind).toBe('evaluation-failed')
    expect(detail).toEqual({ mistakes: [{ place: 'tags', failure: '5 is not a list of globs' }] })
  })

  test.each([
    ['', /^slipway\.json: is not JSON: /],
    ['{"images": ["git",]}', /^slipway\.json: is not JSON: /],
    ['null', /^slipway\.json: null is not an object such as/],
    ['["git"]', /^slipway\.json: \["git"\] is not an object such as/],
    ['{"images": null}', /^slipway\.json: images: null is not a list of image names/],
    [`{"tags": "${'x'.repeat(1000)}"}`, /^slipway\.json: tags: "x{59}… is not a list/],
  ])('may not be %s', (text, message) => {
    expect(failureOf(text).message).toMatch(message)
  })

  test('never ends in anything but a config or a Failure', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.json().map(asConfig)), (text) => {
        try {
          readPrebuildConfig(text)
        } catch (error) {
          expect(error).toBeInstanceOf(Failure)
        }
      }),
    )
  })
})

describe('the schema for editors', () => {
  test('is checked in as it is generated', async () => {
    await expect(
      `${JSON.stringify(prebuildConfigSchema(), null, 2)}\n`,
      'nix/slipway.schema.json is out of date; write it anew: npx vitest run --project unit prebuild-config -u',
    ).toMatchFileSnapshot(schemaFile)
  })

  const { properties } = prebuildConfigSchema() as {
    properties: Record<'images' | 'tags', { items: { pattern: string } }>
  }
  const pattern = (key: 'images' | 'tags') => new RegExp(properties[key].items.pattern, 'u')

  test.each(['git', 'a.b/c-d/e_f', '7zip', 'a__b--c'])('lets the image name %s pass', (name) => {
    expect(parseImageName(name).text).toMatch(pattern('images'))
  })

  test('says of globs what the service says', () => {
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
