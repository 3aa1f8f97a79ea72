/**
 * `GET /v2/_catalog`: the names under which images have been built.
 * @see https://distribution.github.io/distribution/spec/api/#listing-repositories
 */
import type { Act } from '../route.ts'
import { sendJson } from '../send-json.ts'
import type { RegistryServices } from '../services.ts'
import { entriesOf, type Page } from './paging.ts'

export function sendCatalog({ catalog }: RegistryServices): Act<Page> {
  return async (ctx, page) => {
    const repositories = entriesOf(page, await catalog.names(), ctx)
    sendJson(ctx, { repositories })
  }
}
