/**
 * Cache of recently read file blocks. During a rollout many machines request the same layers at once, and only
 * the first request reads from the disk. The blocks are in a fixed number of buffers that are reused, so that
 * the cache makes no garbage.
 */
import type { FileHandle } from 'node:fs/promises'

/** Bytes of a block: it stays in the processor's cache until it is sent, and makes the reads large enough. */
export const blockSize = 256 * 1024

/** Number of buffers: 16 MiB in total. */
export const mostBuffers = 64

export interface Block {
  readonly key: string
  readonly buffer: Buffer
  /** Resolves to the number of bytes that were read into the buffer. */
  readonly length: Promise<number>
  /** Number of readers that use the buffer, including the read that fills it. */
  users: number
}

export class BlockCache {
  /** In order of use: the least recently used block comes first. */
  readonly #blocks = new Map<string, Block>()
  readonly #free: Buffer[] = []
  #allocated = 0

  /**
   * Returns a block. Its buffer is not reused until the block is released.
   * @param identity equal for two files only if they have the same bytes
   * @param index number of the block in the file
   * @param expected bytes that the block should have
   * @returns undefined when all buffers are in use
   */
  acquire(file: FileHandle, identity: string, index: number, expected: number): Block | undefined {
    const key = `${identity}:${index}`
    const known = this.#blocks.get(key)
    if (known !== undefined) {
      this.#blocks.delete(key)
      this.#blocks.set(key, known)
      known.users += 1
      return known
    }
    const buffer = this.#buffer()
    if (buffer === undefined) return undefined
    const length = file
      .read(buffer, 0, blockSize, index * blockSize)
      .then(({ bytesRead }) => bytesRead)
    // The read counts as a user, because it may still be running when the caller has released the block.
    const block: Block = { key, buffer, length, users: 2 }
    this.#blocks.set(key, block)
    length.then(
      (bytes) => {
        if (bytes < expected) this.#forget(block)
        this.release(block)
      },
      () => {
        this.#forget(block)
        this.release(block)
      },
    )
    return block
  }

  release(block: Block): void {
    block.users -= 1
    if (block.users === 0 && this.#blocks.get(block.key) !== block) this.#free.push(block.buffer)
  }

  /** Removes a block that was not read completely, so that the next reader reads it again. */
  #forget(block: Block): void {
    if (this.#blocks.get(block.key) === block) this.#blocks.delete(block.key)
  }

  #buffer(): Buffer | undefined {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#allocated < mostBuffers) {
      this.#allocated += 1
      return Buffer.allocUnsafeSlow(blockSize)
    }
    for (const { key, users, buffer } of this.#blocks.values()) {
      if (users > 0) continue
      this.#blocks.delete(key)
      return buffer
    }
    return undefined
  }
}
