/**
 * Headers of a tar archive: ustar, with a PAX extended header before it for what ustar cannot hold.
 * An encoder of our own, because tar-stream takes names as strings only and so cannot keep a name that
 * is not UTF-8.
 * @see https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
 */
import type { DirectoryEntry, SymlinkEntry } from './entry.ts'

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

const slash = 0x2f

const types = { file: '0', symlink: '2', directory: '5', extended: 'x' } as const

export interface FileHeader {
  readonly kind: 'file'
  readonly path: Buffer
  readonly mode: number
  /** Bytes. */
  readonly size: number
}

interface Header {
  readonly type: string
  readonly name: Buffer
  readonly prefix?: Buffer
  readonly linkName?: Buffer
  readonly mode: number
  readonly size: number
}

/**
 * The header of an entry, PAX header included: a multiple of 512 bytes. A file's content is to follow,
 * filled up with zeros to a multiple of 512 bytes.
 */
export function encodeHeader(entry: DirectoryEntry | SymlinkEntry | FileHeader): Buffer {
  const name =
    entry.kind === 'directory' ? Buffer.concat([entry.path, Buffer.of(slash)]) : entry.path
  const linkName = entry.kind === 'symlink' ? entry.target : undefined
  const size = entry.kind === 'file' ? entry.size : 0
  const mode = entry.kind === 'symlink' ? 0o777 : entry.mode
  const [, nameLength] = fields.name

  const records: Buffer[] = []
  const split = splitName(name)
  if (split === undefined) records.push(paxRecord('path', name))
  if (linkName !== undefined && linkName.length > fields.linkName[1]) {
    records.push(paxRecord('linkpath', linkName))
  }
  if (size > largestSize) records.push(paxRecord('size', Buffer.from(String(size))))

  // What a PAX record gives counts; the field then holds as much as fits.
  const header = encodeBlock({
    type: types[entry.kind],
    ...(split ?? { name: name.subarray(0, nameLength) }),
    ...(linkName && { linkName: linkName.subarray(0, fields.linkName[1]) }),
    mode,
    size: size > largestSize ? 0 : size,
  })
  return records.length === 0 ? header : Buffer.concat([paxHeader(records), header])
}

/** Zero bytes that fill content of this many bytes up to whole blocks. */
export function paddingAfter(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize
}

/**
 * `a/b/c` as `a/b` and `c`, such that both fit and neither is empty, or undefined. The slash is the last
 * one that leaves a prefix which fits.
 */
function splitName(name: Buffer): { name: Buffer; prefix?: Buffer } | undefined {
  const [, nameLength] = fields.name
  const [, prefixLength] = fields.prefix
  if (name.length <= nameLength) return { name }
  // The slash at the end of a directory's name does not part anything.
  const at = name.lastIndexOf(slash, Math.min(prefixLength, name.length - 2))
  if (at <= 0 || name.length - at - 1 > nameLength) return undefined
  return { prefix: name.subarray(0, at), name: name.subarray(at + 1) }
}

/** `<length> <key>=<value>\n`, where the length in decimal digits counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length
  }
  return Buffer.concat([Buffer.from(String(length)), rest])
}

/**
 * Values go in as they are, even where POSIX asks for UTF-8: Go's archive/tar, GNU tar and Python all
 * give the bytes back, and some of them complain of `hdrcharset=BINARY`.
 */
function paxHeader(records: readonly Buffer[]): Buffer {
  const content = Buffer.concat(records)
  const name = Buffer.from('@PaxHeader')
  return Buffer.concat([
    encodeBlock({ type: types.extended, name, mode: 0o644, size: content.length }),
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

/** An image may have tens of thousands of files, so only what differs is written and summed. */
function encodeBlock(header: Header): Buffer {
  const block = Buffer.from(template)
  let sum = templateSum
  const put = (field: Field, value: Buffer): void => {
    const [at] = fields[field]
    for (let index = 0; index < value.length; index++) {
      const byte = value[index] as number
      block[at + index] = byte
      sum += byte
    }
  }
  const putText = (field: Field, value: string): void => {
    const [at] = fields[field]
    for (let index = 0; index < value.length; index++) {
      const byte = value.charCodeAt(index)
      block[at + index] = byte
      sum += byte
    }
  }
  put('name', header.name)
  if (header.prefix) put('prefix', header.prefix)
  if (header.linkName) put('linkName', header.linkName)
  putText('mode', octal('mode', header.mode))
  putText('size', octal('size', header.size))
  putText('type', header.type)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, fields.checksum[0], 'latin1')
  return block
}
