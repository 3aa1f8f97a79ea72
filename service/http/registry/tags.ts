/**
 * `GET /v2/<name>/tags/list`: all tags of the source, for any well-formed name. Nothing is evaluated.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
import type { Context } from 'koa'
import { type ImageName, parseImageName } from '../../image/image-name.ts'
import type { Act } from '../route.ts'
import { sendJson } from '../send-json.ts'
import type { RegistryServices } from '../services.ts'
import { entriesOf, type Page, parsePage } from './paging.ts'

interface TagsRequest extends Page {
  readonly name: ImageName
}

/** @throws Failure name-invalid, paging-invalid */
export function parseTagsRequest(ctx: Context, name: string): TagsRequest {
  return { name: parseImageName(name), ...parsePage(ctx) }
}

export function sendTags({ source }: RegistryServices): Act<TagsRequest> {
  return (ctx, request) => {
    const tags = entriesOf(request, source.tags(), ctx)
    sendJson(ctx, { name: request.name.text, tags })
  }
}
