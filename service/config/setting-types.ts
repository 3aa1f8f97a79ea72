/** Zod types of settings. Each message completes the sentence "the value must be …". */
import { accessSync, constants, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { isUrlTemplate } from '../source/channel-name.ts'
import { isGlobList, parseGlobList } from '../text/globs.ts'

/** A whole number from `least` to `most`. */
export const wholeNumber = (message: string, least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, message)
    .transform(Number)
    .refine((value) => value >= least && value <= most, message)

/** At most a week: 604,800 seconds. */
export const seconds = (least = 1) =>
  wholeNumber(
    `a whole number of seconds, ${least} or more (at most a week: 604800)`,
    least,
    604_800,
  )

export const oneOf = <const T extends string>(...values: readonly T[]) =>
  z.enum(values, { error: `one of: ${values.join(', ')}` })

/** A path. A relative path is resolved against the working folder. */
export const absolutePath = z.string().transform((path) => resolve(path))

export const readableFile = absolutePath.refine(isReadableFile, 'a file that can be read')

export const httpUrl = z
  .string()
  .refine((text) => /^https?:/i.test(text) && URL.canParse(text), 'an http(s) URL')
  .transform((text) => new URL(text))

/** An http(s) URL with placeholders in braces. */
export const urlTemplate = (...placeholders: string[]) =>
  z
    .string()
    .refine(
      (text) => isUrlTemplate(text, ...placeholders),
      `an http(s) URL that contains ${placeholders.map((name) => `{${name}}`).join(' and ')}`,
    )

export const globList = (message: string) =>
  z.string().refine(isGlobList, message).transform(parseGlobList)

export function isReadableFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
