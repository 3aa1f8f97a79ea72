/**
 * Encodes headers of a tar archive: ustar, after a PAX extended header if a value does not fit into ustar.
 * The library tar-stream takes names as strings only, so it would change a name that is not valid UTF-8.
 * @see https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
 */
import { type ByteString, bytesOf } from './byte-string.ts'
import type { DirectoryEntry, SymlinkEntry } from './entry.ts'

/** Bytes of a block, the unit of a tar archive. */
const blockSize = 512

/** Two empty blocks end an archive. */
export const endOfArchive = Buffer.alloc(2 * blockSize)

/** Seconds since 1970: the time of every file in the Nix store. */
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
 * Returns the header of an entry, PAX header included: a multiple of 512 bytes, valid until the next call. The
 * content of a file follows, padded with zeros to a multiple of 512 bytes.
 */
export function encodeHeader(entry: DirectoryEntry | SymlinkEntry | FileHeader): Buffer {
  const name = entry.kind === 'directory' ? `${entry.path}/` : entry.path
  const linkName = entry.kind === 'symlink' ? entry.target : ''
  const size = entry.kind === 'file' ? entry.size : 0
  const [, nameLength] = fields.name
  const [, linkNameLength] = fields.linkName

  const records: Buffer[] = []
  const start = nameStart(name)
  if (start === undefined) records.push(paxRecord('path', name))
  if (linkName.length > linkNameLength) records.push(paxRecord('linkpath', linkName))
  if (size > largestSize) records.push(paxRecord('size', String(size)))
  const extended = records.length > 0 ? paxHeader(records) : undefined

  // A PAX record overrides its field, which then holds as much of the value as fits.
  const header = encodeBlock(
    types[entry.kind],
    start === undefined ? name.slice(0, nameLength) : name.slice(start),
    start === undefined || start === 0 ? '' : name.slice(0, start - 1),
    linkName.slice(0, linkNameLength),
    entry.kind === 'symlink' ? 0o777 : entry.mode,
    size > largestSize ? 0 : size,
  )
  return extended ? Buffer.concat([extended, header]) : header
}

/** Returns the number of zero bytes after content of this many bytes. */
export function paddingAfter(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize
}

/**
 * Splits `a/b/c` into a prefix `a/b` and a name `c` that fit into their fields and are not empty. Splits at the last
 * slash whose prefix fits.
 * @returns the index of the name; 0 if no prefix is needed, undefined if the path does not fit
 */
function nameStart(name: ByteString): number | undefined {
  const [, nameLength] = fields.name
  const [, prefixLength] = fields.prefix
  if (name.length <= nameLength) return 0
  // The slash at the end of a directory's name is no place to split.
  const slash = name.lastIndexOf('/', Math.min(prefixLength, name.length - 2))
  return slash <= 0 || name.length - slash - 1 > nameLength ? undefined : slash + 1
}

/** Returns `<length> <key>=<value>\n`. The length in decimal digits includes its own digits. */
function paxRecord(key: string, value: ByteString): Buffer {
  const rest = ` ${key}=${value}\n`
  let length = rest.length
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length
  }
  return bytesOf(`${length}${rest}`)
}

/**
 * Writes the bytes of values unchanged, although POSIX demands UTF-8: Go's archive/tar, GNU tar and Python all
 * return the bytes, and some of them warn about `hdrcharset=BINARY`.
 */
function paxHeader(records: readonly Buffer[]): Buffer {
  const content = Buffer.concat(records)
  return Buffer.concat([
    encodeBlock(types.extended, '@PaxHeader', '', '', 0o644, content.length),
    content,
    Buffer.alloc(paddingAfter(content.length)),
  ])
}

/** The fields that are equal in all headers. The checksum is computed with its own field as spaces. */
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

/** Used for all headers, because an image may have tens of thousands of files. */
const block = Buffer.alloc(blockSize)

/** Writes a header to `block`; only the fields that differ from the template are written and summed. */
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
  sum += writeField('name', name)
  sum += writeField('prefix', prefix)
  sum += writeField('linkName', linkName)
  sum += writeField('mode', octal('mode', mode))
  sum += writeField('size', octal('size', size))
  sum += writeField('type', type)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, fields.checksum[0], 'latin1')
  return block
}

/** Writes a field to `block` and returns the sum of its bytes. */
function writeField(field: Field, value: ByteString): number {
  const [at] = fields[field]
  let sum = 0
  for (let index = 0; index < value.length; index++) {
    const byte = value.charCodeAt(index)
    block[at + index] = byte
    sum += byte
  }
  return sum
}
