/** Parses the JSON that nix/evaluate.nix prints. */

import { z } from 'zod'
import type { PackageOutcome } from '../../closure/package.ts'

const packageOutput = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('found'),
    attribute: z.string(),
    derivation: z.string(),
    outputName: z.string(),
    storePath: z.string(),
    system: z.string(),
    priority: z.number(),
    mainProgram: z.string().nullable(),
    imageConfig: z.unknown(),
    requires: z.array(z.object({ derivation: z.string(), outputName: z.string() })).nullable(),
  }),
  z.object({ status: z.literal('missing'), missing: z.string(), known: z.array(z.string()) }),
  z.object({ status: z.literal('set'), members: z.array(z.string()) }),
  z.object({ status: z.literal('not-a-derivation'), type: z.string() }),
])

const evaluationOutput = z.array(packageOutput)

/** @param packages names that were evaluated, in the order of the output */
export function parseEvaluationOutput(json: string, packages: readonly string[]): PackageOutcome[] {
  return evaluationOutput
    .parse(JSON.parse(json))
    .map((output, index) => outcomeOf(packages[index] ?? '', output))
}

function outcomeOf(name: string, output: z.infer<typeof packageOutput>): PackageOutcome {
  switch (output.status) {
    case 'found': {
      const { status, mainProgram, imageConfig, requires, ...facts } = output
      return {
        status,
        package: {
          name,
          ...facts,
          ...(mainProgram === null ? {} : { mainProgram }),
          ...(imageConfig === null || imageConfig === undefined ? {} : { imageConfig }),
          ...(requires === null ? {} : { requires }),
        },
      }
    }
    case 'missing':
      return { status: 'missing', name, level: output.missing, known: output.known }
    default:
      return { ...output, name }
  }
}
