/** Recognises the tracked repository by the URLs that webhooks send. */
import type { TrackedRepository } from './ports.ts'
import { isSameRepository, normaliseRepositoryUrl } from './repository-url.ts'

/**
 * Returns a matcher of URLs of the tracked repository.
 * @param url URL that is fetched; may contain credentials
 * @param aliases further URLs of the same repository
 */
export function trackedRepository(url: string, aliases: readonly string[]): TrackedRepository {
  const tracked = [url, ...aliases]
  return {
    isNamedBy: (named) => tracked.some((known) => isSameRepository(named, known)),
    describe,
    description: describe(tracked),
  }
}

/** Lists URLs without credentials, each once: `github.com/acme/packages or git.example.com/packages`. */
function describe(urls: readonly string[]): string {
  return [...new Set(urls.map(normaliseRepositoryUrl))].filter(Boolean).join(' or ')
}
