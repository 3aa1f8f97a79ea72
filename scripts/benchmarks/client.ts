/** HTTP over a fixed number of connections that are kept, each answer with its time. */
import { Agent, request } from 'node:http'

export interface Question {
  /** @default GET */
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

export interface TimedAnswer {
  readonly body: string
  /** From the request to the end of the answer. */
  readonly milliseconds: number
}

export class Client implements Disposable {
  readonly #url: string
  readonly #agent: Agent
  readonly #signal: AbortSignal

  /** @param connections requests under way at a time; more of them wait */
  constructor(url: string, connections: number, signal: AbortSignal) {
    this.#url = url
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
    this.#signal = signal
  }

  /** @throws Error if the answer's status is not the expected one */
  ask({ path, body, ...options }: Question, expected = 200): Promise<TimedAnswer> {
    const started = performance.now()
    return new Promise((resolve, reject) => {
      const settings = { ...options, agent: this.#agent, signal: this.#signal }
      request(this.#url + path, settings, (response) => {
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

  /** Milliseconds of each of so many answers, one after the other. */
  async askAgain(question: Question, times: number): Promise<number[]> {
    const measured: number[] = []
    while (measured.length < times) measured.push((await this.ask(question)).milliseconds)
    return measured
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}
