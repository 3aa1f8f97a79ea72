import { describe, expect, test } from 'vitest'
import { nixError, safeText } from '../../../service/adapters/nix/messages.ts'

describe('safeText', () => {
  test.each([
    ['colours', '\u001b[31;1merror:\u001b[0m no', 'error: no'],
    ['colours with colons', '\u001b[38:2::1:2:3mred\u001b[m', 'red'],
    ['moves and erasures', 'a\u001b[2K\u001b[1Gb\u001b[?25lc', 'abc'],
    ['8-bit sequences', '\u009b31mred\u009b0m', 'red'],
    ['a title', '\u001b]0;owned\u0007text', 'text'],
    ['a link', '\u001b]8;;http://x\u001b\\text\u001b]8;;\u001b\\', 'text'],
    ['device strings', '\u001bPq#0\u001b\\a\u001b_x\u009cb', 'ab'],
    ['character sets', '\u001b(Btext\u001b7', 'text'],
    ['a string without an end', '\u001b]0;text', '0;text'],
    ['a lone escape', 'text\u001b', 'text'],
    ['other controls', 'a\u0000b\u0008c\rd\u007fe\u0085f', 'abcdef'],
  ])('safeText() removes %s', (_, text, shown) => {
    expect(safeText(text)).toBe(shown)
  })

  test('safeText() keeps newlines, tabs and all letters', () => {
    const text = 'größer\n\t日本語 🚢 [31m'
    expect(safeText(text)).toBe(text)
  })

  test('safeText() removes credentials, also between colour sequences', () => {
    expect(safeText('https:\u001b[1m//robot:se\u001b[0mcret@host/x')).toBe('https://***@host/x')
    expect(safeText('GET /x?access_token=abcd')).toBe('GET /x?access_token=***')
  })

  test.each(['\u001b]', '\u009d', '\u001b[', 'a.', '://', '?sig', '?', 'authorization: '])(
    'safeText() of a million characters takes linear time: %j',
    (part) => {
      const text = part.repeat(1_000_000 / part.length)
      const start = performance.now()
      safeText(text)
      expect(performance.now() - start).toBeLessThan(2000)
    },
  )
})

describe('nixError', () => {
  test('nixError() removes warnings, hints and credentials', () => {
    // Printed by Nix 2.8 for builtins.fetchTarball.
    const url = 'https://robot:secret@127.0.0.1:1/x.tar.gz'
    const stderr = [
      `warning: error: unable to download '${url}': Couldn't connect to server (7); retrying in 256 ms`,
      `error: unable to download '${url}': Couldn't connect to server (7)`,
      "(use '--show-trace' to show detailed location information)",
      '',
    ].join('\n')
    expect(nixError(stderr)).toBe(
      "unable to download 'https://***@127.0.0.1:1/x.tar.gz': Couldn't connect to server (7)",
    )
  })

  test('nixError() removes credentials from an excerpt of the source', () => {
    const stderr = `error: cannot fetch\n\n       at /nix/store/x/default.nix:1:3:\n\n            1|   url = "git+https://t0ken@host/r";\n`
    expect(nixError(stderr)).toContain('"git+https://***@host/r"')
  })

  test('nixError() of an empty stderr says that there is no error', () => {
    expect(nixError('\u001b[0m\n')).toBe('Nix printed no error')
  })
})
