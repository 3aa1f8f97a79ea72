import { expect, test } from 'vitest'
import { LineSplitter } from '../../../service/adapters/process/line-splitter.ts'

function split(...pieces: string[]): string[] {
  const lines: string[] = []
  const splitter = new LineSplitter((line) => lines.push(line))
  for (const piece of pieces) splitter.push(piece)
  splitter.end()
  return lines
}

test('lines that end with LF or CRLF are passed on without their end, also across pieces', () => {
  expect(split('a\r', '\nb', 'c\n\nd')).toEqual(['a', 'bc', '', 'd'])
})

test('text that ends with a line end has no further line', () => {
  expect(split('a\n')).toEqual(['a'])
  expect(split('')).toEqual([])
})

test('a line of more than 1 MiB is cut', () => {
  const piece = 'x'.repeat(600 * 1024)
  expect(split(piece, piece, 'y\n').map((line) => line.length)).toEqual([1200 * 1024, 1])
})
