/** Kinds of values that settings have: zod types, whose messages say what would be right. */
import { accessSync, constants, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { isAddressTemplate } from '../source/channel-name.ts'
import { isGlobList, parseGlobList } from '../text/globs.ts'

export const whole = (expected: string, least: number, most: number) =>
  z
    .string()
    .regex(/^\d+$/, expected)
    .transform(Number)
    .refine((value) => value >= least && value <= most, expected)

export const seconds = (least = 1) =>
  whole(`a whole number of seconds, ${least} or more (at most a week: 604800)`, least, 604_800)

export const oneOf = <T extends string>(...values: readonly T[]) =>
  z.enum(values, { error: `one of: ${values.join(', ')}` })

export const absolute = z.string().transform((path) => resolve(path))

export const template = (...placeholders: string[]) =>
  z
    .string()
    .refine(
      (text) => isAddressTemplate(text, ...placeholders),
      `an http(s) URL that holds ${placeholders.map((name) => `{${name}}`).join(' and ')}`,
    )

export const globList = (expected: string) =>
  z.string().refine(isGlobList, expected).transform(parseGlobList)

export const readableFile = absolute.refine(isReadableFile, 'a file that can be read')

export function isReadableFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
