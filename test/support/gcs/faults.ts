/** What goes wrong on demand. Each fault is for so many requests and then over. */
import type { RequestRecord } from './ledger.ts'

export type Match = (request: RequestRecord) => boolean

type Failing =
  /** Answer with this status instead of doing the work; an upload's body is read first. */
  | { readonly what: 'fail'; readonly status: number }
  | { readonly what: 'delay'; readonly milliseconds: number }
  /** Cut the connection when so many bytes of an upload's body have arrived. */
  | { readonly what: 'cut-upload'; readonly afterBytes: number }
  /** Cut the connection when so many bytes of content were sent. */
  | { readonly what: 'cut-download'; readonly afterBytes: number }
  /** Flip a bit on the way. */
  | { readonly what: 'corrupt-upload' }
  | { readonly what: 'corrupt-download' }
  /** Do the work, then cut the connection before the answer. */
  | { readonly what: 'lose-answer' }

export type Fault<What extends Failing['what'] = Failing['what']> = Extract<
  Failing,
  { what: What }
> & { readonly match: Match; left: number }

export class Faults {
  #armed: Fault[] = []

  /** @param times requests that it is for */
  arm(failing: Failing, times: number, match: Match = () => true): void {
    this.#armed.push({ ...failing, match, left: times })
  }

  clear(): void {
    this.#armed = []
  }

  /**
   * The fault of a sort that a request must suffer, not yet used up: whoever lets it happen calls `spend`.
   * Of several the one that was armed first.
   */
  of<What extends Failing['what']>(what: What, request: RequestRecord): Fault<What> | undefined {
    return this.#armed.find(
      (fault): fault is Fault<What> =>
        fault.what === what && fault.left > 0 && fault.match(request),
    )
  }

  /** @returns whether it still may happen: another request may have been first */
  spend(fault: Fault | undefined): fault is Fault {
    if (!fault || fault.left <= 0) return false
    fault.left -= 1
    return true
  }
}
