import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SharedChunks } from '../../../service/adapters/packing/shared-chunks.ts'

const upper = (chunk: Buffer) => Buffer.from(chunk.toString().toUpperCase())
const failing = () => {
  throw new Error('broken')
}

function add(chunks: SharedChunks, text: string): void {
  chunks.add(chunks.nextBuffer.write(text))
}

/** Opens chunks as the thread of a helper does. */
function open(chunks: SharedChunks): SharedChunks {
  return SharedChunks.open(chunks.memory, chunks.layerNumber)
}

test('the owner compresses a chunk that no helper has started', () => {
  const chunks = SharedChunks.create()
  add(chunks, 'one')
  add(chunks, 'two')
  expect(chunks.size).toBe(2)
  expect(chunks.take(upper).toString()).toBe('ONE')
  expect(chunks.take(upper).toString()).toBe('TWO')
  expect(chunks.size).toBe(0)
})

test('the owner compresses a chunk that a helper failed to compress', () => {
  const chunks = SharedChunks.create()
  add(chunks, 'one')
  expect(() => open(chunks).help(failing)).toThrow('broken')
  expect(chunks.hasHelpers).toBe(false)
  expect(chunks.take(upper).toString()).toBe('ONE')
})

test('the owner takes a chunk that a helper has compressed without compressing it again', () => {
  const chunks = SharedChunks.create()
  add(chunks, 'one')
  open(chunks).help((chunk) => {
    expect(chunks.hasHelpers).toBe(true)
    chunks.close()
    return upper(chunk)
  })
  expect(chunks.take(failing).toString()).toBe('ONE')
})

test('a helper compresses the oldest chunks first, in all eight slots', () => {
  const chunks = SharedChunks.create()
  const texts = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  for (const text of texts) add(chunks, text)
  expect(chunks.isFull).toBe(true)
  const order: string[] = []
  open(chunks).help((chunk) => {
    order.push(chunk.toString())
    if (order.length === texts.length) chunks.close()
    return upper(chunk)
  })
  expect(order).toEqual(texts)
  for (const text of texts) expect(chunks.take(failing).toString()).toBe(text.toUpperCase())
})

test('a dismissed helper leaves after its current chunk', () => {
  const chunks = SharedChunks.create()
  add(chunks, 'one')
  add(chunks, 'two')
  open(chunks).help((chunk) => {
    chunks.dismissHelper()
    return upper(chunk)
  })
  expect(chunks.take(failing).toString()).toBe('ONE')
  expect(chunks.take(() => Buffer.from('by the owner')).toString()).toBe('by the owner')
})

test('a helper that comes after the layer was packed leaves at once', () => {
  const chunks = SharedChunks.create()
  add(chunks, 'one')
  const late = open(chunks)
  chunks.close()
  late.help(failing)
  expect(late.isOpen).toBe(false)
})

test('memory that is used again has a new layer number and forgets dismissed helpers', () => {
  const first = SharedChunks.create()
  first.dismissHelper()
  first.close()
  const second = SharedChunks.create(first.memory)
  expect(second.layerNumber).toBe(first.layerNumber + 1)
  expect([first.isOpen, second.isOpen]).toEqual([false, true])
  add(second, 'one')
  open(second).help((chunk) => {
    second.close()
    return upper(chunk)
  })
  expect(second.take(failing).toString()).toBe('ONE')
})

describe('the owner of a chunk that a helper has started', () => {
  beforeEach(() => {
    vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      throw new Error('the owner waits')
    })
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })

  /** Takes from an empty slot, whose state is that of a chunk that a helper has started. */
  const take = (chunks: SharedChunks) => () => chunks.take(upper)

  test('the owner fails if a helper died', () => {
    const chunks = SharedChunks.create()
    expect(take(chunks)).toThrow('the owner waits')
    chunks.reportDeadHelper()
    expect(take(chunks)).toThrow('a helping worker died')
  })

  test('the owner does not fail if a helper of an earlier layer died', () => {
    const first = SharedChunks.create()
    first.reportDeadHelper()
    first.close()
    const second = SharedChunks.create(first.memory)
    expect(take(second)).toThrow('the owner waits')
    first.reportDeadHelper()
    expect(take(second)).toThrow('the owner waits')
  })
})
