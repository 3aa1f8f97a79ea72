/** Paths under `/v2` that a registry does not have. */
import type { Context } from 'koa'
import { Failure } from '../../image/errors.ts'
import { parseImageName } from '../../image/image-name.ts'
import { parseReference } from '../../image/reference.ts'
import { percentDecoded } from '../../text/percent-decoding.ts'

/**
 * Reports the part of `<name>/manifests/<reference>` that breaks its grammar, or else that the path is unknown.
 * @throws Failure always: name-invalid, tag-invalid, digest-invalid, route-unknown
 */
export function explainUnknownPath(ctx: Context): never {
  const [, name, reference = ''] = /^\/v2\/(.*?)\/manifests\/(.*)$/.exec(ctx.path) ?? []
  if (name !== undefined) {
    parseImageName(percentDecoded(name))
    parseReference(percentDecoded(reference))
  }
  throw new Failure('route-unknown', `there is no ${ctx.path} in the API of registries`)
}
