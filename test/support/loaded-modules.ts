/**
 * Appends the URL of each module that is loaded, by `import` or `require`, to the file that LOADED_MODULES
 * names. To be used with `node --import`.
 */
import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

registerHooks({
  load(url, context, nextLoad) {
    appendFileSync(process.env.LOADED_MODULES ?? '/dev/null', `${url}\n`)
    return nextLoad(url, context)
  },
})
