/**
 * Headers of a tar archive: ustar, with a PAX extended header before it for what ustar cannot hold.
 * An encoder of our own, because tar-stream takes names as strings only and so cannot keep a name that
 * is not UTF-8.
 * @see https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
 */
import { type ByteString, bytesOf, type DirectoryEntry, type SymlinkEntry } from './entry.ts'

export const blockSize = 512

/** Two empty blocks end an archive. */
export const endOfArchive = Buffer.alloc(2 * blockSize)

/** Every file in the Nix store has this time. */
const mtime = 1

/** Offset and length in bytes of the fields of a ustar header. */
const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  majorDevice: [329, 8],
  minorDevice: [337, 8],
  prefix: [345, 155],
} as const

type Field = keyof typeof fields

/** Eleven octal digits: just below 8 GiB. */
const largestSize = 0o77777777777

const types = { file: '0', symlink: '2', directory: '5', extended: 'x' } as const

export interface FileHeader {
  readonly kind: 'file'
  readonly path: ByteString
  readonly mode: number
  /** Bytes. */
  readonly size: number
}

/**
 * The header of an entry, PAX header included: a multiple of 512 bytes, good until the next one is encoded. A
 * file's content is to follow, filled up with zeros to a multiple of 512 bytes.
 */
export function encodeHeader(entry: DirectoryEntry | SymlinkEntry | FileHeader): Buffer {
  const name = entry.kind === 'directory' ? `${entry.path}/` : entry.path
  const linkName = entry.kind === 'symlink' ? entry.target : ''
  const size = entry.kind === 'file' ? entry.size : 0
  const [, nameLength] = fields.name
  const [, linkNameLength] = fields.linkName

  const records: Buffer[] = []
  const at = splitAt(name)
  if (at === undefined) records.push(paxRecord('path', name))
  if (linkName.length > linkNameLength) records.push(paxRecord('linkpath', linkName))
  if (size > largestSize) records.push(paxRecord('size', String(size)))
  const before = records.length > 0 ? paxHeader(records) : undefined

  // What a PAX record gives counts; the field then holds as much as fits.
  const header = encodeBlock(
    types[entry.kind],
    at === undefined ? name.slice(0, nameLength) : name.slice(at),
    at === undefined || at === 0 ? '' : name.slice(0, at - 1),
    linkName.slice(0, linkNameLength),
    entry.kind === 'symlink' ? 0o777 : entry.mode,
    size > largestSize ? 0 : size,
  )
  return before ? Buffer.concat([before, header]) : header
}

/** Zero bytes that fill content of this many bytes up to whole blocks. */
export function paddingAfter(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize
}

/**
 * Where to part `a/b/c` into a prefix `a/b` and a name `c`, such that both fit and neither is empty: where the
 * name begins; 0 if it fits as it is, undefined if it cannot be. The slash is the last one that leaves a
 * prefix which fits.
 */
function splitAt(name: ByteString): number | undefined {
  const [, nameLength] = fields.name
  const [, prefixLength] = fields.prefix
  if (name.length <= nameLength) return 0
  // The slash at the end of a directory's name does not part anything.
  const at = name.lastIndexOf('/', Math.min(prefixLength, name.length - 2))
  return at <= 0 || name.length - at - 1 > nameLength ? undefined : at + 1
}

/** `<length> <key>=<value>\n`, where the length in decimal digits counts itself. */
function paxRecord(key: string, value: ByteString): Buffer {
  const rest = ` ${key}=${value}\n`
  let length = rest.length
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length
  }
  return bytesOf(`${length}${rest}`)
}

/**
 * Values go in as they are, even where POSIX asks for UTF-8: Go's archive/tar, GNU tar and Python all
 * give the bytes back, and some of them complain of `hdrcharset=BINARY`.
 */
function paxHeader(records: readonly Buffer[]): Buffer {
  const content = Buffer.concat(records)
  return Buffer.concat([
    encodeBlock(types.extended, '@PaxHeader', '', '', 0o644, content.length),
    content,
    Buffer.alloc(paddingAfter(content.length)),
  ])
}

/** What is the same in every header. The checksum's own field counts as spaces. */
const template = Buffer.alloc(blockSize)
for (const [field, text] of [
  ['uid', octal('uid', 0)],
  ['gid', octal('gid', 0)],
  ['mtime', octal('mtime', mtime)],
  ['checksum', ' '.repeat(fields.checksum[1])],
  ['magic', 'ustar\0'],
  ['version', '00'],
  ['majorDevice', octal('majorDevice', 0)],
  ['minorDevice', octal('minorDevice', 0)],
] as const) {
  template.write(text, fields[field][0], 'latin1')
}
const templateSum = template.reduce((sum, byte) => sum + byte, 0)

function octal(field: Field, value: number): string {
  return value.toString(8).padStart(fields[field][1] - 1, '0')
}

/** One for all headers: an image may have tens of thousands of files. */
const block = Buffer.alloc(blockSize)

/** A header, in the block: only what differs is written and summed. */
function encodeBlock(
  type: string,
  name: ByteString,
  prefix: ByteString,
  linkName: ByteString,
  mode: number,
  size: number,
): Buffer {
  template.copy(block)
  let sum = templateSum
  sum += put('name', name)
  sum += put('prefix', prefix)
  sum += put('linkName', linkName)
  sum += put('mode', octal('mode', mode))
  sum += put('size', octal('size', size))
  sum += put('type', type)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, fields.checksum[0], 'latin1')
  return block
}

/** @returns the sum of the bytes */
function put(field: Field, value: ByteString): number {
  const [at] = fields[field]
  let sum = 0
  for (let index = 0; index < value.length; index++) {
    const byte = value.charCodeAt(index)
    block[at + index] = byte
    sum += byte
  }
  return sum
}
