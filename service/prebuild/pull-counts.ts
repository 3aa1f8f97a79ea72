/**
 * How often images are pulled, where a pull of a week ago counts half as much as one of today.
 *
 * Instead of all weights sinking, the weight of new pulls rises. A pull is worth 2^(weeks from a fixed
 * week to the pull), and a weight is the sum of these:
 *
 *     week            0      1      2                    in all   seen in week 2
 *     git             ●●●●                  4 × 2⁰     =   4         4 / 2² = 1
 *     htop                   ●              1 × 2¹     =   2         2 / 2² = ½
 *     jq                            ●●      2 × 2²     =   8         8 / 2² = 2
 *
 * So time passing changes nothing that is stored and never the order, and moving the sums to another
 * week is a multiplication by a power of two, which is exact: they do not drift, however often they
 * are written and read. This is "forward decay" (Cormode, Shkapenyuk, Srivastava and Xu, ICDE 2009).
 * @see https://doi.org/10.1109/ICDE.2009.65
 */

/** Milliseconds after which a pull counts half. */
export const pullHalfLife = 7 * 24 * 60 * 60 * 1000

/** Images that are counted, at most: a few hundred bytes each. */
const mostImages = 10_000
/** When there are too many, this share makes room, so that a newcomer has time to become popular. */
const shareDropped = 1 / 8

/** Weights as they are written down. */
export interface PullSnapshot {
  /** Weeks from 1970 to the one in whose measure the weights are. */
  readonly week: number
  /** Canonical image name → weight. */
  readonly weights: Readonly<Record<string, number>>
}

/** Counts by canonical image name. Times are in milliseconds since 1970. */
export class PullCounts {
  readonly #week: number
  readonly #most: number
  #weights = new Map<string, number>()

  /** @param most images that are counted; of more, those with the least weight drop out @default 10,000 */
  constructor(now: number, most = mostImages) {
    this.#week = weekOf(now)
    this.#most = most
  }

  /** The sum of several counts: the same in whatever order they are given. */
  static merge(snapshots: Iterable<PullSnapshot>, now: number, most?: number): PullCounts {
    const merged = new PullCounts(now, most)
    const parts = new Map<string, number[]>()
    for (const { week, weights } of snapshots) {
      // Weeks to come are taken for this one: a clock that ran ahead must not outweigh all others.
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

  /** Images that are counted. */
  get size(): number {
    return this.#weights.size
  }

  /** Counts one pull. */
  add(name: string, now: number): void {
    const known = this.#weights.get(name)
    // Before it is counted, for a newcomer would be the first to drop out.
    if (known === undefined && this.size >= this.#most) {
      this.#keep(this.#most - Math.max(1, Math.floor(this.#most * shareDropped)))
    }
    this.#weights.set(name, (known ?? 0) + this.#worth(now))
  }

  /** What the pulls of an image count at that moment: 1 for one that is made then. */
  weight(name: string, now: number): number {
    return (this.#weights.get(name) ?? 0) / this.#worth(now)
  }

  /** Names by weight, the greatest first; of equal weights, by name. */
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

  /** The weight of a pull, in the measure of this object's week. */
  #worth(now: number): number {
    const week = weekOf(now)
    // In two factors, so that which week is the measure does not touch the rounding.
    return 2 ** (week - this.#week) * 2 ** ((now - week * pullHalfLife) / pullHalfLife)
  }

  #ranking(): [name: string, weight: number][] {
    return [...this.#weights].sort(
      ([name, weight], [otherName, other]) => other - weight || (name < otherName ? -1 : 1),
    )
  }

  /** Lets all but the images with the most weight drop out. */
  #keep(count: number): void {
    this.#weights = new Map(this.#ranking().slice(0, count))
  }
}

function weekOf(time: number): number {
  return Math.floor(time / pullHalfLife)
}

/** Sorted first, because the sum of floating-point numbers depends on their order. */
function sum(weights: number[]): number {
  return weights.sort((a, b) => a - b).reduce((total, weight) => total + weight, 0)
}
