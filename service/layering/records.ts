/** What `plans/<plan key>` and `knowledge/current` hold. */
import { z } from 'zod'
import type { KnowledgeDocument } from './knowledge-document.ts'

export const planRecord = z.object({
  /** Version of what the planner knew beyond the closure. */
  knowledge: z.string(),
  /** Store paths by layer. */
  layers: z.array(z.array(z.string())),
})
export type PlanRecord = z.infer<typeof planRecord>

const places = z.array(z.int().nonnegative())

/** What the planner knows of the images that are served. */
export const knowledgeRecord: z.ZodType<KnowledgeDocument> = z.object({
  paths: z.array(z.string()),
  layers: z.array(places),
  images: z.array(
    z.object({
      name: z.string(),
      tops: places,
      plans: z.array(places),
      unplanned: places.exactOptional(),
    }),
  ),
  history: z.array(z.tuple([z.string(), z.int(), z.int()])),
})
