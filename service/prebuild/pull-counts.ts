/**
 * Weights of images by their pulls: a pull of a week ago counts half as much as a pull of today.
 *
 * The weights of old pulls do not sink; instead, the weight of new pulls rises. A pull adds
 * 2^(weeks from a fixed week to the pull):
 *
 *     week            0      1      2                    sum      divided by the weight of a pull in week 2
 *     git             ●●●●                  4 × 2⁰     =   4         4 / 2² = 1
 *     htop                   ●              1 × 2¹     =   2         2 / 2² = ½
 *     jq                            ●●      2 × 2²     =   8         8 / 2² = 2
 *
 * So time changes neither the stored sums nor their order. Converting the sums to another fixed week is a
 * multiplication by a power of two, which is exact, so the sums do not drift however often they are written
 * and read. This is "forward decay" (Cormode, Shkapenyuk, Srivastava and Xu, ICDE 2009).
 * @see https://doi.org/10.1109/ICDE.2009.65
 */

/** Milliseconds after which a pull counts half as much. */
export const pullHalfLife = 7 * 24 * 60 * 60 * 1000

/** Most images that are counted; an image takes a few hundred bytes. */
const mostImages = 10_000
/** Share of the images that is dropped when there are too many: a new image needs time to become popular. */
const shareDropped = 1 / 8

/** Weights as they are stored. */
export interface PullSnapshot {
  /** The fixed week of the weights, in weeks since 1970. */
  readonly week: number
  /** Canonical image name → weight. */
  readonly weights: Readonly<Record<string, number>>
}

/** Counts by canonical image name. Times are in milliseconds since 1970. */
export class PullCounts {
  readonly #week: number
  readonly #most: number
  #weights = new Map<string, number>()

  /** @param most images that are counted; those with the least weight are dropped @default 10,000 */
  constructor(now: number, most = mostImages) {
    this.#week = weekOf(now)
    this.#most = most
  }

  /** Returns the sum of several counts. The order of the snapshots does not matter. */
  static merge(snapshots: Iterable<PullSnapshot>, now: number, most?: number): PullCounts {
    const merged = new PullCounts(now, most)
    const parts = new Map<string, number[]>()
    for (const { week, weights } of snapshots) {
      // A future week counts as this one: a clock that ran ahead must not outweigh all others.
      const factor = 2 ** Math.min(0, week - merged.#week)
      for (const [name, weight] of Object.entries(weights)) {
        const known = parts.get(name)
        if (known) known.push(weight * factor)
        else parts.set(name, [weight * factor])
      }
    }
    for (const [name, weights] of parts) merged.#weights.set(name, sum(weights))
    if (merged.size > merged.#most) merged.#keep(merged.#most)
    return merged
  }

  /** Number of images that are counted. */
  get size(): number {
    return this.#weights.size
  }

  /** Counts one pull. */
  add(name: string, now: number): void {
    const known = this.#weights.get(name)
    // Drops images before it adds the new one, which would be dropped first.
    if (known === undefined && this.size >= this.#most) {
      this.#keep(this.#most - Math.max(1, Math.floor(this.#most * shareDropped)))
    }
    this.#weights.set(name, (known ?? 0) + this.#pullWeight(now))
  }

  /** Returns the weight of an image at this time: a pull at this time weighs 1. */
  weight(name: string, now: number): number {
    return (this.#weights.get(name) ?? 0) / this.#pullWeight(now)
  }

  /** Returns names by weight, the greatest first; names of equal weight by name. */
  mostPulled(limit: number): readonly string[] {
    return this.#ranking()
      .slice(0, limit)
      .map(([name]) => name)
  }

  snapshot(now: number): PullSnapshot {
    const week = weekOf(now)
    const factor = 2 ** (this.#week - week)
    const weights = [...this.#weights].map(([name, weight]) => [name, weight * factor])
    return { week, weights: Object.fromEntries(weights) }
  }

  /** Returns what a pull adds at this time, relative to the fixed week. */
  #pullWeight(now: number): number {
    const week = weekOf(now)
    // Two factors, so that the rounding does not depend on the fixed week.
    return 2 ** (week - this.#week) * 2 ** ((now - week * pullHalfLife) / pullHalfLife)
  }

  #ranking(): [name: string, weight: number][] {
    return [...this.#weights].sort(
      ([name, weight], [otherName, other]) => other - weight || (name < otherName ? -1 : 1),
    )
  }

  /** Drops all images but those with the greatest weights. */
  #keep(count: number): void {
    this.#weights = new Map(this.#ranking().slice(0, count))
  }
}

function weekOf(time: number): number {
  return Math.floor(time / pullHalfLife)
}

/** Sorts first, because a sum of floating-point numbers depends on their order. */
function sum(weights: number[]): number {
  return weights.sort((a, b) => a - b).reduce((total, weight) => total + weight, 0)
}
