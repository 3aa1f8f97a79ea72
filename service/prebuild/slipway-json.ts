/** `slipway.json`: what a package set wants to have built before anybody asks for it. */
import { z } from 'zod'
import { Failure, messageOf } from '../image/errors.ts'
import { type ImageName, maxNameLength, parseImageName } from '../image/image-name.ts'
import { Globs, globFailure, maxGlobLength } from '../text/globs.ts'
import type { PrebuildConfig } from './desired-images.ts'

/** Where it is, in the package set. */
export const prebuildConfigPath = 'slipway.json'

/** Characters of a value that a message quotes, at most. */
const longestQuote = 60

/** A wrong place in the file. */
export interface PrebuildConfigMistake {
  /** `images[2]`; empty for the file as a whole. */
  readonly place: string
  /** A sentence that quotes the value. */
  readonly failure: string
}

const notA = (what: string) => ({
  error: ({ input }: { input?: unknown }) => `${quoted(input)} is not ${what}`,
})

const imageName = z
  .string(notA('an image name, a text'))
  .meta({
    description: 'An image name as in docker pull, without registry and tag: "shell/git".',
    maxLength: maxNameLength,
    // Coarser than the grammar, which only the service knows in full.
    pattern: '^[a-z0-9][a-z0-9._/-]*$',
  })
  .transform((text, context): ImageName => {
    try {
      return parseImageName(text)
    } catch (error) {
      context.addIssue(messageOf(error))
      return z.NEVER
    }
  })

const glob = z
  .string(notA('a glob, a text'))
  .meta({ minLength: 1, maxLength: maxGlobLength, pattern: '^(?!!|refs/)[^\\s~^:\\[{\\\\]+$' })
  .refine((text) => globFailure(text) === undefined, {
    error: ({ input }) => globFailure(String(input)) ?? '',
  })

const globs = (refs: string) =>
  z
    .array(glob, notA('a list of globs'))
    .optional()
    .describe(
      `Only ${refs} whose names match one of these globs are prebuilt, of those that the service ` +
        'is set to prebuild. "*" stands for any characters, also "/", and "?" for one.',
    )

const prebuildConfig = z
  .strictObject(
    {
      $schema: z
        .string(notA('the address of a JSON schema, a text'))
        .optional()
        .describe('For editors; the service does not read it.'),
      images: z
        .array(imageName, notA('a list of image names'))
        .optional()
        .describe(
          'Images that are built as soon as a ref is pushed, besides the most pulled ones.',
        ),
      tags: globs('tags'),
      branches: globs('branches'),
    },
    notA('an object such as {"images": ["shell/git"]}'),
  )
  .meta({
    title: 'slipway.json',
    description: 'What Slipway builds of this package set before anybody pulls it.',
  })

/** What belongs into a `slipway.json`, as a JSON schema for editors. */
export function prebuildConfigSchema(): object {
  return z.toJSONSchema(prebuildConfig, { io: 'input' })
}

/**
 * @param text the whole file
 * @throws Failure evaluation-failed with all mistakes, a line each; `detail.mistakes` has them too
 */
export function readPrebuildConfig(text: string): PrebuildConfig {
  const parsed = prebuildConfig.safeParse(parseJson(text))
  if (!parsed.success) throw faulty(parsed.error.issues.flatMap(mistakesOf))
  const { images, tags, branches } = parsed.data
  return {
    images: images ?? [],
    ...(tags ? { tags: new Globs(tags) } : {}),
    ...(branches ? { branches: new Globs(branches) } : {}),
  }
}

function parseJson(text: string): unknown {
  try {
    // Some editors begin a file with a byte order mark.
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw faulty([{ place: '', failure: `is not JSON: ${messageOf(error)}` }])
  }
}

function mistakesOf(issue: z.core.$ZodIssue): PrebuildConfigMistake[] {
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(prebuildConfig.shape)
      .filter((key) => key !== '$schema')
      .join(', ')
    return issue.keys.map((key) => ({
      place: quoted(key),
      failure: `there is no such key; the keys are ${known}`,
    }))
  }
  return [{ place: placeOf(issue.path), failure: issue.message }]
}

/** `['images', 2]` → `images[2]`. */
function placeOf(path: readonly PropertyKey[]): string {
  return path.map((part) => (typeof part === 'number' ? `[${part}]` : String(part))).join('')
}

function faulty(mistakes: readonly PrebuildConfigMistake[]): Failure {
  const lines = mistakes.map(({ place, failure }) =>
    [prebuildConfigPath, ...(place === '' ? [] : [place]), failure].join(': '),
  )
  return new Failure('evaluation-failed', lines.join('\n'), { detail: { mistakes } })
}

function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > longestQuote ? `${text.slice(0, longestQuote)}…` : text
}
