/** Compressing a layer while it is packed. Runs in a packing thread. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { promisify } from 'node:util'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Compression } from '../../domain/keys.ts'

/** How layers are compressed: plain data, so that it can be sent to a thread. */
export interface Compressor {
  /** For people: `igzip -1`. */
  readonly name: string
  readonly method: 'igzip' | 'gzip' | 'zstd' | 'none'
}

/** Where compressed bytes go. What it throws ends the compressing. */
export interface Sink {
  /** The file, for a program that writes it itself, from its beginning. */
  readonly fd: number
  write(bytes: Uint8Array): void
  /** Takes note of all that a program has written. */
  adopt(): void
}

export interface CompressorStream {
  /** Resolves when the chunk is no longer needed: its memory may be used for something else. */
  write(chunk: Buffer): Promise<void>
  /** Resolves when the sink has got everything. */
  end(): Promise<void>
  /** Gives up, at any time. When it resolves no process is left, and nothing is written any more. */
  abort(): Promise<void>
}

/** Without `-n` igzip writes the time into the header, and no two layers would be the same. */
const igzip = { program: 'igzip', options: ['-1', '-n', '-q', '-c'] } as const

const gzipLevel = 1
const zstdLevel = 2

/** The best way to compress like this on this machine: igzip for gzip, six times as fast, if it is there. */
export async function findCompressor(kind: Compression): Promise<Compressor> {
  switch (kind) {
    case 'gzip':
      return (await igzipWorks())
        ? { name: 'igzip -1', method: 'igzip' }
        : { name: `zlib gzip -${gzipLevel}`, method: 'gzip' }
    case 'zstd':
      return { name: `zlib zstd -${zstdLevel}`, method: 'zstd' }
    case 'none':
      return { name: 'none', method: 'none' }
  }
}

export function openCompressor({ method }: Compressor, sink: Sink): CompressorStream {
  switch (method) {
    case 'igzip':
      return new LateProcessStream(
        () => new ProcessStream(igzip.program, igzip.options, sink),
        sink,
      )
    // Each chunk becomes a gzip member or a zstd frame of its own, which may follow one another (RFC
    // 1952 section 2.2, RFC 8878 section 3). So it can be done here and now, without zlib's streams, whose
    // work would go to the thread pool that serves requests.
    case 'gzip':
      return new ChunkStream((chunk) => gzipSync(chunk, { level: gzipLevel }), sink)
    case 'zstd':
      return new ChunkStream((chunk) => zstdCompressSync(chunk, { params: zstdParameters }), sink)
    case 'none':
      return new ChunkStream((chunk) => chunk, sink)
  }
}

const zstdParameters = {
  [constants.ZSTD_c_compressionLevel]: zstdLevel,
  [constants.ZSTD_c_checksumFlag]: 1,
}

async function igzipWorks(): Promise<boolean> {
  try {
    const tried = promisify(execFile)(igzip.program, igzip.options, { encoding: 'buffer' })
    tried.child.stdin?.end()
    const { stdout } = await tried
    return stdout[0] === 0x1f && stdout[1] === 0x8b
  } catch {
    return false
  }
}

/**
 * Bytes up to which zlib is done before a program has been started: that takes as long as compressing
 * this much. Most layers of an image are smaller.
 */
const smallLayer = 1024 * 1024

/** Starts a program only for what is large. What goes which way depends on the size alone. */
class LateProcessStream implements CompressorStream {
  readonly #start: () => ProcessStream
  readonly #sink: Sink
  #held: Buffer[] = []
  #size = 0
  #process: ProcessStream | undefined

  constructor(start: () => ProcessStream, sink: Sink) {
    this.#start = start
    this.#sink = sink
  }

  async write(chunk: Buffer): Promise<void> {
    this.#size += chunk.length
    if (this.#process === undefined && this.#size <= smallLayer) {
      // The chunk's memory is not ours.
      this.#held.push(Buffer.from(chunk))
      return
    }
    const held = this.#held
    this.#held = []
    this.#process ??= this.#start()
    for (const earlier of held) await this.#process.write(earlier)
    await this.#process.write(chunk)
  }

  async end(): Promise<void> {
    if (this.#process !== undefined) return this.#process.end()
    this.#sink.write(gzipSync(Buffer.concat(this.#held), { level: gzipLevel }))
  }

  async abort(): Promise<void> {
    await this.#process?.abort()
  }
}

class ChunkStream implements CompressorStream {
  readonly #compress: (chunk: Buffer) => Uint8Array
  readonly #sink: Sink

  constructor(compress: (chunk: Buffer) => Uint8Array, sink: Sink) {
    this.#compress = compress
    this.#sink = sink
  }

  async write(chunk: Buffer): Promise<void> {
    this.#sink.write(this.#compress(chunk))
  }

  async end(): Promise<void> {}

  async abort(): Promise<void> {}
}

/**
 * A program that compresses its standard input into the file. The file is read again for its digest: that
 * is from memory, and costs less than having all that is written pass through here.
 */
class ProcessStream implements CompressorStream {
  readonly #program: string
  readonly #sink: Sink
  readonly #child: ChildProcess
  readonly #stdin: Writable
  readonly #finished: Promise<void>
  #failure: unknown

  constructor(program: string, options: readonly string[], sink: Sink) {
    this.#program = program
    this.#sink = sink
    // The service's environment holds secrets, the program needs none of it.
    this.#child = spawn(program, options, {
      env: { PATH: process.env.PATH },
      stdio: ['pipe', sink.fd, 'pipe'],
    })
    this.#finished = this.#watch()
    // Whoever waits for a write or for the end learns of it; nobody may be waiting just now.
    this.#finished.catch(() => {})
    this.#stdin = this.#child.stdin as Writable
    this.#stdin.on('error', () => {})
  }

  async write(chunk: Buffer): Promise<void> {
    const problem = await new Promise<Error | null | undefined>((resolve) => {
      this.#stdin.write(chunk, resolve)
    })
    if (!problem) return
    // A broken pipe says only that the program is gone; how it ended says why.
    await this.#finished
    throw problem
  }

  async end(): Promise<void> {
    this.#stdin.end()
    await this.#finished
    this.#sink.adopt()
  }

  async abort(): Promise<void> {
    this.#fail(new Error(`${this.#program} was given up`))
    await this.#finished.catch(() => {})
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#child.kill('SIGKILL')
  }

  #watch(): Promise<void> {
    const complaint: Buffer[] = []
    this.#child.stderr?.on('data', (bytes: Buffer) => complaint.push(bytes))
    return new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        if (this.#failure !== undefined) reject(this.#failure)
        else if (code === 0) resolve()
        else {
          reject(this.#reason(code, signal, Buffer.concat(complaint).toString().trim()))
        }
      })
    })
  }

  #reason(code: number | null, signal: NodeJS.Signals | null, said: string): Error {
    if (/writing/i.test(said)) {
      try {
        // It says that it could not write, the system says why.
        this.#sink.write(Buffer.alloc(4096))
      } catch (error) {
        return error as Error
      }
    }
    const how = signal ?? `exit code ${code}`
    return new Error(`${this.#program} ended with ${how}${said && `: ${said}`}`)
  }
}
