/**
 * The emulator as a process of its own, until it is told to stop (SIGTERM, SIGINT).
 *
 *     node test/support/gcs/serve.ts --port 9000 --bucket layers --key key.json
 *
 * Prints one line of JSON when it listens. `--key` is written, or read if it exists, so that URLs that
 * were signed before a restart stay good. Objects do not outlive the process.
 */
import { existsSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Checksumming, GcsEmulator } from './emulator.ts'

const { values } = parseArgs({
  options: {
    bucket: { type: 'string', default: 'layers' },
    port: { type: 'string', default: '0' },
    key: { type: 'string' },
    folder: { type: 'string' },
    checksumming: { type: 'string', default: 'both' },
    'public-read': { type: 'boolean', default: false },
    'page-size': { type: 'string', default: '1000' },
  },
})

const { bucket, key, folder, checksumming } = values
if (!['both', 'crc32c', 'asked'].includes(checksumming)) {
  throw new Error(`--checksumming is both, crc32c or asked, not ${checksumming}`)
}
const known = key && existsSync(key) ? JSON.parse(readFileSync(key, 'utf8')) : undefined
const emulator = await GcsEmulator.start({
  bucket,
  port: Number(values.port),
  checksumming: checksumming as Checksumming,
  publicRead: values['public-read'],
  pageSize: Number(values['page-size']),
  ...(folder && { folder }),
  ...(known && { credentials: known }),
})
if (key) await emulator.writeKey(key)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void emulator[Symbol.asyncDispose]())
}
process.stdout.write(`${JSON.stringify({ url: emulator.url, bucket, key, pid: process.pid })}\n`)
