/** Calls flow downward: which folder of the service may import which. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const service = resolve(import.meta.dirname, '../service')

/** What files of a folder may import besides the folder itself. */
const allowed: Record<string, RegExp> = {
  // The domain computes; of the platform it takes hashing, and of streams the type.
  domain: /^node:(crypto|stream)$/,
  usecases: /^(domain\/|node:(stream|stream\/consumers|timers\/promises)$|[a-z@])/,
  adapters: /^(domain\/|node:|[a-z@])/,
  http: /^(domain\/|usecases\/|node:|[a-z@])/,
}

const files = readdirSync(service, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)

/** Imports of a file: `domain/errors.ts` for the service's own, else as written. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(service, file), 'utf8')
  const found = text.matchAll(/^(?:import|export|\}).*?from '([^']+)'/gm)
  return [...found].map(([, specifier = '']) =>
    specifier.startsWith('.')
      ? relative(service, resolve(service, dirname(file), specifier))
      : specifier,
  )
}

test.each(Object.entries(allowed))('%s imports nothing from above', (folder, rule) => {
  const own = files.filter((file) => file.startsWith(`${folder}/`))
  expect(own.length).toBeGreaterThan(0)
  const others = Object.keys(allowed).filter((other) => other !== folder)
  const wrong = own.flatMap((file) =>
    importsOf(file)
      .filter((imported) => !imported.startsWith(`${folder}/`))
      .filter(
        (imported) =>
          !rule.test(imported) ||
          /^(compose|config)\b.*\.ts$/.test(imported) ||
          // A bare word such as `koa` is a package; `http/app.ts` is a folder of ours.
          others.some(
            (other) => imported.startsWith(`${other}/`) && !rule.source.includes(`${other}\\/`),
          ),
      )
      .map((imported) => `${file} imports ${imported}`),
  )
  expect(wrong).toEqual([])
})

test('only composing imports adapters', () => {
  const importers = files.filter(
    (file) =>
      !file.startsWith('adapters/') &&
      importsOf(file).some((imported) => imported.startsWith('adapters/')),
  )
  expect(importers.sort()).toEqual([
    'compose-nix.ts',
    'compose-source.ts',
    'compose-storage.ts',
    'compose.ts',
  ])
})

test('only main.ts ends the process', () => {
  const enders = files.filter((file) =>
    readFileSync(join(service, file), 'utf8').includes('process.exit'),
  )
  expect(enders).toEqual(['main.ts'])
})
