/** The HTML of the status page. Untrusted people write most of its contents: html.ts escapes them. */

import type { BuildEntry } from '../../build/ports.ts'
import { isTagRef, shortRefName, slugOf } from '../../image/ref-name.ts'
import type { RefImage, RefState, RefStateList } from '../../prebuild/ports.ts'
import type { SourceStatus } from '../../source/ports.ts'
import { Html, html } from './html.ts'
import { ago, duration } from './human-time.ts'
import { statusStyle } from './style.ts'

export interface StatusFacts {
  /** Host and port that clients pull from. */
  readonly host: string
  readonly source: SourceStatus
  /** Absent for a source without refs. */
  readonly refs?: RefStateList | 'unreadable'
  /** Newest first. */
  readonly builds: readonly BuildEntry[]
  readonly now: Date
}

const buildsShown = 20
const failuresShown = 5
/** Last lines that are shown of a failed build's log. The API has the rest. */
const logLinesShown = 20
/** Most images that are shown of one ref. */
const imagesShown = 40
/** Hex digits that are shown of a commit id. */
const commitShown = 12
/** Seconds between reloads while images are built: people then watch the page. */
const refreshInterval = 10

export function statusView(facts: StatusFacts): Html {
  const { host, refs, builds, now } = facts
  const list = typeof refs === 'object' ? refs.refs : []
  const isBusy =
    builds.some(({ outcome }) => outcome === 'running') ||
    list.some(({ images }) =>
      images.some(({ state }) => state === 'building' || state === 'queued'),
    )
  const failures = openFailures(builds).slice(0, failuresShown)
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${isBusy ? html`<meta http-equiv="refresh" content="${refreshInterval}">` : undefined}
<title>Slipway</title>
<style>${new Html(statusStyle)}</style>
</head>
<body>
<header>
<h1>Slipway</h1>
${sourceLine(facts)}
</header>
<main>
<section>
<h2>Pull</h2>
<pre class="command">docker pull ${host}/${exampleOf(list, builds)}</pre>
<p>An image is a list of packages, such as <code>shell/git/jq</code>. A tag is a tag, a branch or a
commit of the package set; none, or <code>latest</code>, is the default branch.</p>
</section>
${failures.length === 0 ? undefined : html`<section><h2>Recent failures</h2>${failures.map((failure) => failedBuildView(failure, now))}</section>`}
${refs === undefined ? undefined : html`<section><h2>Refs</h2>${refsView(refs)}</section>`}
<section>
<h2>Recent builds</h2>
${buildsView(builds.slice(0, buildsShown), now)}
</section>
</main>
<footer>${timeView(now.toISOString())}${isBusy ? ` · reloads every ${refreshInterval} s while images are built` : ''}
· as JSON: <a href="/api/refs">refs</a>, <a href="/api/builds">builds</a></footer>
</body>
</html>
`
}

function sourceLine({ source, now }: StatusFacts): Html {
  const { ready, refreshedAt, failure } = source
  const read = refreshedAt === undefined ? undefined : ago(since(refreshedAt, now))
  if (failure === undefined) {
    const [state, word] = ready ? ['stored', 'Ready'] : ['queued', 'Starting']
    return html`<p>${stateView(state, word)}${aside(read && `package set read ${read}`)}</p>`
  }
  const word = ready ? 'Package set out of reach' : 'Not ready'
  const served = ready ? `serving what was read${read ? ` ${read}` : ' before'}` : undefined
  return html`<p>${stateView('failed', word)}${aside(served)}</p>
<p class="failure">${failure}</p>`
}

function aside(text: string | undefined): Html | undefined {
  return text ? html`<span class="aside">${text}</span>` : undefined
}

/** Returns an image for the example: a stored one, if there is one. */
function exampleOf(refs: readonly RefState[], builds: readonly BuildEntry[]): string {
  for (const wanted of ['stored', 'building', 'queued', 'absent']) {
    for (const { tag, images } of refs) {
      const image = images.find(({ state }) => state === wanted)
      if (image) return `${image.name}:${tag}`
    }
  }
  const built = builds.find(({ outcome }) => outcome === 'built')
  return built ? pullName(built) : 'shell/git/jq'
}

/** Returns the newest failed build of each image and revision that was not built since. */
function openFailures(builds: readonly BuildEntry[]): readonly BuildEntry[] {
  const newest = new Map<string, BuildEntry>()
  for (const build of builds) {
    const subject = JSON.stringify([build.image, build.revision])
    const isDecided = build.outcome === 'built' || build.outcome === 'failed'
    if (isDecided && !newest.has(subject)) newest.set(subject, build)
  }
  return [...newest.values()].filter(({ outcome }) => outcome === 'failed')
}

function failedBuildView(build: BuildEntry, now: Date): Html {
  const { id, endedAt, startedAt, failure, log } = build
  const lines = log?.trimEnd().split('\n').slice(-logLinesShown).join('\n')
  return html`<article>
<h3>${pullName(build)}</h3>
<p class="quiet">${timeView(endedAt ?? startedAt, now)} · <a href="/api/builds/${id}">details</a></p>
<p class="failure">${failure ?? 'no message was given'}</p>
${lines === undefined ? undefined : html`<pre tabindex="0">${lines}</pre>`}
</article>
`
}

function refsView(refs: RefStateList | 'unreadable'): Html {
  if (refs === 'unreadable') return html`<p class="failure">The refs cannot be listed just now.</p>`
  const { total } = refs
  if (total === 0) return html`<p class="quiet">The repository has no branch and no tag yet.</p>`
  const shown = refs.refs.filter(({ inScope }) => inScope)
  const rest = total - shown.length
  return html`${shown.length === 0 ? undefined : html`<ul class="rows">${shown.map(refView)}</ul>`}
${rest === 0 ? undefined : html`<p class="quiet">${rest}${shown.length === 0 ? '' : ' more'} ${rest === 1 ? 'ref' : 'refs'} can be pulled; a pull builds an image that is not stored.</p>`}`
}

function refView({ ref, tag, commit, images, failure }: RefState): Html {
  const kind = isTagRef(ref) ? 'tag' : 'branch'
  return html`<li>
<p><strong>${tag}</strong> <span class="quiet">${kind} · <code>${commit.slice(0, commitShown)}</code></span></p>
${failure === undefined ? undefined : html`<p class="failure">${failure}</p>`}
${images.length === 0 ? html`<p class="quiet">no images to build before they are pulled</p>` : imagesView(images)}
</li>
`
}

function imagesView(images: readonly RefImage[]): Html {
  const rest = images.length - imagesShown
  return html`<ul class="images">${images.slice(0, imagesShown).map(imageView)}${rest > 0 ? html`<li class="quiet">and ${rest} more</li>` : undefined}</ul>`
}

function imageView({ name, state, failure }: RefImage): Html {
  const title = failure === undefined ? undefined : html` title="${failure}"`
  return html`<li${title}><span class="name">${name}</span> ${stateView(state, state)}</li>`
}

function buildsView(builds: readonly BuildEntry[], now: Date): Html {
  if (builds.length === 0) return html`<p class="quiet">None yet: pull an image, or push a tag.</p>`
  return html`<ol class="rows">${builds.map((build) => buildView(build, now))}</ol>`
}

function buildView(build: BuildEntry, now: Date): Html {
  const { id, cause, outcome, startedAt, endedAt, stages } = build
  const took = since(startedAt, endedAt === undefined ? now : new Date(endedAt))
  const parts = Object.entries(stages).map(([stage, time]) => `${stage} ${duration(time)}`)
  return html`<li>
<p class="build"><a href="/api/builds/${id}">${pullName(build)}</a> <span class="end">${stateView(stateOf[outcome], outcome)} <span class="took">${duration(took)}</span></span></p>
<p class="quiet">${timeView(startedAt, now)} · ${cause}${parts.map((part) => html` · <span class="stage">${part}</span>`)}</p>
</li>
`
}

const stateOf: Record<BuildEntry['outcome'], string> = {
  running: 'building',
  built: 'stored',
  failed: 'failed',
  aborted: 'absent',
}

/** Returns the name and tag for a pull. The tag is that of the ref, or else the commit. */
function pullName({ image, ref, revision }: BuildEntry): string {
  const tag = ref === undefined ? revision.slice(0, commitShown) : slugOf(shortRefName(ref))
  return `${image}:${tag}`
}

/** A coloured dot, and a word for people who do not see the colour. */
function stateView(state: string, word: string): Html {
  return html`<span class="state ${state}">${word}</span>`
}

function timeView(iso: string, now?: Date): Html {
  const text = now ? ago(since(iso, now)) : `${iso.slice(0, 19).replace('T', ' ')} UTC`
  return html`<time datetime="${iso}" title="${iso}">${text}</time>`
}

/** Milliseconds from one time to the other. */
function since(iso: string, now: Date): number {
  return now.getTime() - Date.parse(iso)
}
