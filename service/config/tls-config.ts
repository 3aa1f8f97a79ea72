/** Settings of TLS. */
import type { z } from 'zod'
import type { SettingFailure } from './config-error.ts'
import { readableFile } from './setting-types.ts'

/** Paths of PEM files. */
export interface TlsConfig {
  readonly certificatePath: string
  readonly keyPath: string
}

export const tlsSettings = {
  SLIPWAY_TLS_CERT: readableFile.optional(),
  SLIPWAY_TLS_KEY: readableFile.optional(),
}

/** Returns a failure if only one of certificate and key is set. */
export function tlsFailures(set: NodeJS.ProcessEnv): SettingFailure[] {
  const names = Object.keys(tlsSettings)
  const unset = names.filter((name) => set[name] === undefined)
  if (unset.length !== 1) return []
  const message = `is not set, but the other one is: ${names.join(' and ')} go together`
  return unset.map((variable) => ({ variable, message }))
}

export function tlsOf(values: z.infer<z.ZodObject<typeof tlsSettings>>): TlsConfig | undefined {
  const { SLIPWAY_TLS_CERT: certificatePath, SLIPWAY_TLS_KEY: keyPath } = values
  return certificatePath && keyPath ? { certificatePath, keyPath } : undefined
}
