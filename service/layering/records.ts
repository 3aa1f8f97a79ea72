/** Schemas of the records `plans/<plan key>` and `knowledge/current`. */
import { z } from 'zod'
import type { KnowledgeDocument } from './knowledge-document.ts'

export const planRecord = z.object({
  /** Versions of the knowledge and of the popularity that the plan was made with; `none` for neither. */
  knowledge: z.string(),
  /** Store paths by layer. */
  layers: z.array(z.array(z.string())),
})
export type PlanRecord = z.infer<typeof planRecord>

const indices = z.array(z.int().nonnegative())

export const knowledgeRecord: z.ZodType<KnowledgeDocument> = z.object({
  paths: z.array(z.string()),
  layers: z.array(indices),
  images: z.array(
    z.object({
      name: z.string(),
      tops: indices,
      plans: z.array(indices),
      unplanned: indices.exactOptional(),
    }),
  ),
  history: z.array(z.tuple([z.string(), z.int(), z.int()])),
})
