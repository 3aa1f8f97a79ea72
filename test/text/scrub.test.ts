import { describe, expect, test } from 'vitest'
import { scrub, scrubberFor } from '../../service/text/scrub.ts'

describe('scrub', () => {
  test.each([
    [
      "Authentication failed for 'https://ann:s3cret@host/r.git/'",
      "Authentication failed for 'https://***@host/r.git/'",
    ],
    ['https://ghp_token@github.com/o/r', 'https://***@github.com/o/r'],
    ['http://ann:p@ss@host/r', 'http://***@host/r'],
    ['proxy socks5h://u:p@proxy:1080 failed', 'proxy socks5h://***@proxy:1080 failed'],
    ['https://a:b@one/x and https://c:d@two/y', 'https://***@one/x and https://***@two/y'],
    ['GET /r?access_token=abc&x=1', 'GET /r?access_token=***&x=1'],
    ['/r?x=1&private_token=abc', '/r?x=1&private_token=***'],
    ['/o?X-Goog-Signature=abc&X-Goog-Date=1', '/o?X-Goog-Signature=***&X-Goog-Date=1'],
    ['Authorization: Basic YW5uOnB3', 'Authorization: Basic ***'],
    ['authorization: Bearer abc.def', 'authorization: Bearer ***'],
  ])('scrub hides the credentials in %s', (text, expected) => {
    expect(scrub(text)).toBe(expected)
  })

  test.each(['git@github.com:o/r.git', 'https://host/a@b', 'mail ann@example.com', '?page=2'])(
    'scrub does not change %s',
    (text) => {
      expect(scrub(text)).toBe(text)
    },
  )
})

describe('scrubberFor', () => {
  test('scrubberFor hides the password of the URL alone and decoded', () => {
    const clean = scrubberFor('https://ann:s%26cret@host/r.git')
    expect(clean('https://ann:s%26cret@host/r.git')).toBe('https://***@host/r.git')
    expect(clean('password s&cret refused')).toBe('password *** refused')
    expect(clean('password s%26cret refused')).toBe('password *** refused')
    expect(clean('ann is at host')).toBe('ann is at host')
  })

  test('scrubberFor hides a token in place of the user name or in the query', () => {
    expect(scrubberFor('https://ghp_token@host/r')('fatal: ghp_token')).toBe('fatal: ***')
    expect(scrubberFor('https://host/r?access_token=abcd')('fatal: abcd')).toBe('fatal: ***')
  })

  test('scrubberFor hides a token whose password is empty or a placeholder', () => {
    for (const credentials of ['ghp_token:', 'ghp_token:x-oauth-basic']) {
      expect(scrubberFor(`https://${credentials}@host/r`)('fatal: ghp_token')).toBe('fatal: ***')
    }
  })

  test('scrubberFor hides a password with characters that a URL may not contain', () => {
    const url = 'https://ann:pa/ss@wo rd@host/r'
    const clean = scrubberFor(url)
    for (const text of [`cannot read ${url}`, 'pa/ss@wo rd']) {
      expect(clean(text)).not.toMatch(/ss|rd/)
    }
  })

  test('scrubberFor does not hide the user name of ssh, paths and hosts', () => {
    expect(scrubberFor('ssh://deploy@host/r')('deploy failed at host')).toBe(
      'deploy failed at host',
    )
    expect(scrubberFor('https://host/repo@v1')('host/repo')).toBe('host/repo')
    expect(scrubberFor('/srv/git/r')('/srv/git/r missing')).toBe('/srv/git/r missing')
  })
})
