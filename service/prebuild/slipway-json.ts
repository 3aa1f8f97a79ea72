/** `slipway.json`: the images of a package set that are built before a client pulls them. */

import { z } from 'zod'
import { Failure, messageOf } from '../image/errors.ts'
import { type ImageName, maxNameLength, parseImageName } from '../image/image-name.ts'
import { Globs, globFailure, maxGlobLength } from '../text/globs.ts'
import { truncate } from '../text/truncate.ts'

/** Path of the file in the package set. */
export const prebuildConfigPath = 'slipway.json'

/** Content of the file at one commit. */
export interface PrebuildConfig {
  readonly images: readonly ImageName[]
  /** Absent if the file does not restrict tags. The same is true for `branches`. */
  readonly tags?: Globs
  readonly branches?: Globs
}

/** Most characters of a value that a message quotes. */
const longestQuote = 60

/** Invalid value in the file. */
export interface PrebuildConfigFailure {
  /** Place of the value: `images[2]`; empty for the file as a whole. */
  readonly place: string
  /** Sentence that quotes the value. */
  readonly failure: string
}

const notA = (what: string) => ({
  error: ({ input }: { input?: unknown }) => `${quoted(input)} is not ${what}`,
})

const imageName = z
  .string(notA('a string with an image name'))
  .meta({
    description: 'An image name as in docker pull, without registry and tag: "shell/git".',
    maxLength: maxNameLength,
    // Accepts more than the grammar of image names, which no pattern expresses.
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
  .string(notA('a string with a glob'))
  .meta({ minLength: 1, maxLength: maxGlobLength, pattern: '^(?!!|refs/)[^\\s~^:\\[{\\\\]+$' })
  .refine((text) => globFailure(text) === undefined, {
    error: ({ input }) => globFailure(String(input)) ?? '',
  })

const globs = (refs: string) =>
  z
    .array(glob, notA('a list of globs'))
    .optional()
    .describe(
      `Restricts the ${refs} that the service is set to prebuild to those whose names match one of ` +
        'these globs. "*" stands for any characters, also "/", and "?" for one.',
    )

const prebuildConfig = z
  .strictObject(
    {
      $schema: z
        .string(notA('a string with the address of a JSON schema'))
        .optional()
        .describe('For editors; the service does not read it.'),
      images: z
        .array(imageName, notA('a list of image names'))
        .optional()
        .describe(
          'Images to build as soon as a ref is pushed, in addition to the most pulled ones.',
        ),
      tags: globs('tags'),
      branches: globs('branches'),
    },
    notA('an object such as {"images": ["shell/git"]}'),
  )
  .meta({
    title: 'slipway.json',
    description: 'The images of this package set that Slipway builds before a client pulls them.',
  })

/** Returns the JSON schema of the file, for editors. */
export function prebuildConfigSchema(): object {
  return z.toJSONSchema(prebuildConfig, { io: 'input' })
}

/**
 * Parses the file.
 * @returns a Failure of kind evaluation-failed if the file is invalid. Its message has one line for each
 *   invalid value; `detail.failures` has the same as data.
 */
export function parsePrebuildConfig(text: string): PrebuildConfig | Failure {
  let json: unknown
  try {
    // Some editors begin a file with a byte order mark.
    json = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    return invalid([{ place: '', failure: `is not JSON: ${messageOf(error)}` }])
  }
  const parsed = prebuildConfig.safeParse(json)
  if (!parsed.success) return invalid(parsed.error.issues.flatMap(failuresOf))
  const { images, tags, branches } = parsed.data
  return {
    images: images ?? [],
    ...(tags ? { tags: new Globs(tags) } : {}),
    ...(branches ? { branches: new Globs(branches) } : {}),
  }
}

function failuresOf(issue: z.core.$ZodIssue): PrebuildConfigFailure[] {
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

function invalid(failures: readonly PrebuildConfigFailure[]): Failure {
  const lines = failures.map(({ place, failure }) =>
    [prebuildConfigPath, ...(place === '' ? [] : [place]), failure].join(': '),
  )
  return new Failure('evaluation-failed', lines.join('\n'), { detail: { failures } })
}

function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return truncate(text, longestQuote)
}
