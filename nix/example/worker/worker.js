#!@nodejs@/bin/node
// Reads jobs from stdin, one JSON object a line, and writes the result of each.
const { createHash } = require('node:crypto')
const { createInterface } = require('node:readline')
const { gzipSync } = require('node:zlib')

const kinds = {
  digest: (text) => createHash('sha256').update(text).digest('hex'),
  size: (text) => gzipSync(text).length,
  words: (text) => text.split(/\s+/).filter(Boolean).length,
}

// Process 1 of a container ignores signals for which it has no handler.
process.on('SIGTERM', () => process.exit())
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, kind, text } = JSON.parse(line)
  const result = Object.hasOwn(kinds, kind)
    ? { result: kinds[kind](text) }
    : { error: `no such kind: ${kind}` }
  console.log(JSON.stringify({ id, ...result }))
})
