import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { freePort } from '../free-port.ts'
import { TemporaryFolder } from '../temporary-folder.ts'
import { GcsEmulator } from './emulator.ts'

interface Emulator extends AsyncDisposable {
  readonly url: string
}

async function serve(...parameters: string[]): Promise<Emulator> {
  const script = join(import.meta.dirname, 'serve.ts')
  const child = spawn(process.execPath, [script, ...parameters], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface(child.stdout), 'line')
  return {
    url: JSON.parse(line).url,
    async [Symbol.asyncDispose]() {
      child.kill()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}

test('runs as a process of its own, and is told to fail by requests', async () => {
  await using folder = await TemporaryFolder.create()
  const key = join(folder.path, 'key.json')
  const port = await freePort()
  await using emulator = await serve('--port', String(port), '--bucket', 'blobs', '--key', key)
  expect(emulator.url).toBe(`http://127.0.0.1:${port}`)
  expect(JSON.parse(await readFile(key, 'utf8'))).toMatchObject({ type: 'service_account' })

  const command = (name: string, given: object) =>
    fetch(`${emulator.url}/_emulator/${name}`, { method: 'POST', body: JSON.stringify(given) })
  const view = async (name: string) => (await fetch(`${emulator.url}/_emulator/${name}`)).json()
  const upload = (name: string) =>
    fetch(`${emulator.url}/upload/storage/v1/b/blobs/o?uploadType=media&name=${name}`, {
      method: 'POST',
      body: 'content',
    })

  await command('fail', { status: 503, times: 1, kind: 'upload', key: 'layer' })
  expect((await upload('other')).status).toBe(200)
  expect((await upload('layer-1')).status).toBe(503)
  expect((await upload('layer-1')).status).toBe(200)
  expect(await view('objects')).toMatchObject([{ name: 'layer-1', size: 7 }, { name: 'other' }])
  expect(await view('ledger')).toMatchObject({
    counts: { upload: 3 },
    violations: [],
    requests: [{ key: 'other' }, { status: 503 }, { status: 200 }],
  })
  await command('reset-ledger', {})
  expect(await view('ledger')).toMatchObject({ counts: {}, requests: [] })
  expect((await command('nonsense', {})).status).toBe(404)
}, 30_000)

test('with a key that exists, so that what was signed before a restart stays good', async () => {
  await using folder = await TemporaryFolder.create()
  const key = join(folder.path, 'key.json')
  const read = async () => JSON.parse(await readFile(key, 'utf8'))
  await using before = await GcsEmulator.start({ bucket: 'blobs' })
  await before.writeKey(key)
  const { private_key, token_uri } = await read()

  await using emulator = await serve('--key', key)
  expect(await read()).toMatchObject({ private_key, token_uri: `${emulator.url}/token` })
  expect(token_uri).not.toMatch(emulator.url)
}, 30_000)
