/**
 * A process that sends every kind of request to a bucket. Its argument is JSON: options for GcsStore.open.
 * Prints `done`, or the message of the error.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { GcsStore } from '../../service/adapters/gcs/gcs-store.ts'
import { silentLog } from './silent-log.ts'

const { endpoint, ...options } = JSON.parse(process.argv[2] ?? '{}')
const layerSize = 3 * 1024 * 1024

async function layerOf(store: GcsStore) {
  const path = join(store.stagingFolder, 'layer')
  await writeFile(path, Buffer.alloc(layerSize, 'layer'))
  return { path, size: layerSize }
}

async function useBucket(): Promise<string> {
  const store = await GcsStore.open({
    ...options,
    ...(endpoint ? { endpoint: new URL(endpoint) } : {}),
    redirect: true,
    log: silentLog,
    retryDelay: 1,
  })
  await store.stat('images/a')
  await store.put('images/a', Buffer.from('record'))
  await store.put('blobs/sha256/a', await layerOf(store))
  const read = await buffer((await store.get('blobs/sha256/a')) as Readable)
  if (read.length !== layerSize) throw new Error(`the layer has ${read.length} bytes`)
  await Array.fromAsync(store.list(''))
  await store.redirects?.url('blobs/sha256/a')
  const version = await store.versioned.write('leases/a', Buffer.from('lease'), undefined)
  await store.versioned.remove('leases/a', version ?? '')
  await store.delete('images/a')
  store.close()
  return 'done'
}

process.stdout.write(await useBucket().catch((error: Error) => error.message))
// Idle connections would keep the process alive for some seconds.
process.exit()
