/** Rows of the route table. */
import type { Context } from 'koa'
import type { AuthoriseStep, ParsedRequest } from './authorise.ts'

/**
 * Parses a request into a valid value.
 * @param parts the texts in place of the path's placeholders, percent-decoded
 * @throws Failure for an invalid request
 */
export type Parse<Request extends ParsedRequest> = (ctx: Context, ...parts: string[]) => Request

/** Does the work, and sets the answer. */
export type Act<Request> = (ctx: Context, request: Request) => Promise<void> | void

/** `ANY` stands for every method. */
export type Method = 'GET' | 'POST' | 'ANY'

export interface Route {
  readonly method: Method
  /**
   * A path with placeholders: `<name>` and `<rest>` stand for any text, every other placeholder for the
   * text between two slashes.
   */
  readonly path: string
  handle(ctx: Context, parts: readonly string[]): Promise<void>
}

/** Makes a row from a path and its steps, in the order in which they run. */
interface AddRoute {
  <Request extends ParsedRequest>(
    path: string,
    parse: Parse<Request>,
    authorise: AuthoriseStep,
    act: Act<Request>,
  ): Route
  (path: string, authorise: AuthoriseStep, act: Act<ParsedRequest>): Route
}

/** A route for GET also answers HEAD. */
export const get = routesFor('GET')
export const post = routesFor('POST')
export const any = routesFor('ANY')

const parseNothing: Parse<ParsedRequest> = () => ({})

function routesFor(method: Method): AddRoute {
  return (
    path: string,
    ...steps:
      | [parse: Parse<ParsedRequest>, authorise: AuthoriseStep, act: Act<never>]
      | [authorise: AuthoriseStep, act: Act<ParsedRequest>]
  ): Route => {
    const [parse, authorise, act] = steps.length === 3 ? steps : [parseNothing, ...steps]
    return {
      method,
      path,
      async handle(ctx, parts) {
        const request = parse(ctx, ...parts)
        await authorise(ctx, request)
        await act(ctx, request as never)
      },
    }
  }
}
