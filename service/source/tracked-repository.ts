/** The repository that is tracked, as webhooks name it. */
import type { TrackedRepository } from './ports.ts'
import { normaliseRepositoryUrl, sameRepository } from './repository-url.ts'

/**
 * @param url that is tracked; may hold credentials
 * @param aliases further URLs of the same repository
 */
export function trackedRepository(url: string, aliases: readonly string[]): TrackedRepository {
  const tracked = [url, ...aliases]
  return {
    isNamedBy: (named) => tracked.some((known) => sameRepository(named, known)),
    describe,
    description: describe(tracked),
  }
}

/** Without credentials, each once: `github.com/acme/packages or git.example.com/packages`. */
function describe(urls: readonly string[]): string {
  return [...new Set(urls.map(normaliseRepositoryUrl))].filter(Boolean).join(' or ')
}
