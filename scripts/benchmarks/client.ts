/** HTTP client with a fixed number of kept connections, which measures response times. */
import { Agent, request as send } from 'node:http'

export interface Request {
  /** @default GET */
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

export interface TimedResponse {
  readonly body: string
  /** Time from the request to the end of the response. */
  readonly milliseconds: number
}

export class Client implements Disposable {
  readonly #url: string
  readonly #agent: Agent
  readonly #signal: AbortSignal

  /** @param connections requests that run at the same time; others wait */
  constructor(url: string, connections: number, signal: AbortSignal) {
    this.#url = url
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
    this.#signal = signal
  }

  /** Sends a request. @throws Error if the status is not the expected one */
  ask({ path, body, ...options }: Request, expected = 200): Promise<TimedResponse> {
    const started = performance.now()
    return new Promise((resolve, reject) => {
      const settings = { ...options, agent: this.#agent, signal: this.#signal }
      send(this.#url + path, settings, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          const milliseconds = performance.now() - started
          if (response.statusCode === expected) resolve({ body: text, milliseconds })
          else reject(new Error(`${path}: ${response.statusCode} ${text}`))
        })
      })
        .on('error', reject)
        .end(body)
    })
  }

  /** Repeats a request, one after the other. Returns the milliseconds of each response. */
  async repeat(request: Request, times: number): Promise<number[]> {
    const measured: number[] = []
    while (measured.length < times) measured.push((await this.ask(request)).milliseconds)
    return measured
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}
