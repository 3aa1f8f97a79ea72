/** Schema of image records: the content of `images/<image key>`. */
import { z } from 'zod'
import { descriptorSchema, sizeSchema } from '../image/descriptor.ts'
import type { ImageRecord } from './ports.ts'

export const imageRecord: z.ZodType<ImageRecord> = z.object({
  name: z.string(),
  packages: z.array(z.string()),
  architecture: z.string(),
  revision: z.string(),
  oci: descriptorSchema,
  docker: descriptorSchema,
  size: sizeSchema,
})
