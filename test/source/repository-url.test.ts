import { describe, expect, test } from 'vitest'
import { normaliseRepositoryUrl, sameRepository } from '../../service/source/repository-url.ts'

describe('the normal form', () => {
  test.each([
    ['https://github.com/acme/packages', 'github.com/acme/packages'],
    ['https://github.com/acme/packages.git', 'github.com/acme/packages'],
    ['https://github.com/acme/packages.git/', 'github.com/acme/packages'],
    ['https://github.com//acme///packages//', 'github.com/acme/packages'],
    [' https://github.com/acme/packages\n', 'github.com/acme/packages'],
    ['HTTPS://GitHub.COM/acme/packages', 'github.com/acme/packages'],
    ['https://github.com:443/acme/packages', 'github.com/acme/packages'],
    ['http://github.com:80/acme/packages', 'github.com/acme/packages'],
    ['ssh://git@github.com:22/acme/packages', 'github.com/acme/packages'],
    ['git://github.com:9418/acme/packages', 'github.com/acme/packages'],
    ['git+ssh://git@github.com/acme/packages', 'github.com/acme/packages'],
    ['git@github.com:acme/packages.git', 'github.com/acme/packages'],
    ['git@github.com:/acme/packages.git', 'github.com/acme/packages'],
    ['GitHub.com:acme/packages', 'github.com/acme/packages'],
    ['https://github.com/acme/packages.git?x=1#y', 'github.com/acme/packages'],
    ['https://github.com/acme/my%20packages', 'github.com/acme/my packages'],
    ['https://github.com/acme/100%', 'github.com/acme/100%'],
    ['https://github.com/acme/p@v1', 'github.com/acme/p@v1'],
    ['https://github.com/acme/packages.github', 'github.com/acme/packages.github'],
    ['https://github.com/acme/.git', 'github.com/acme'],
  ])('of %j is %s', (url, normal) => {
    expect(normaliseRepositoryUrl(url)).toBe(normal)
  })

  test.each([
    ['ssh://git@git.example.com:2222/acme/p.git', 'git.example.com:2222/acme/p'],
    ['http://git.example.com:3000/acme/p', 'git.example.com:3000/acme/p'],
    ['https://git.example.com:80/acme/p', 'git.example.com:80/acme/p'],
    ['ssh://git.example.com/~ann/p', 'git.example.com/~ann/p'],
    ['https://[2001:DB8::1]:8443/p.git', '[2001:db8::1]:8443/p'],
    ['git@[::1]:p.git', '[::1]/p'],
  ])('keeps another port than the usual: %s', (url, normal) => {
    expect(normaliseRepositoryUrl(url)).toBe(normal)
  })

  test.each([
    'https://ann:hunter2@host/r.git',
    'https://hunter2@host/r',
    'https://ann:p@hunter2@host/r',
    'https://ann:hunt/er2/hunter2@host/r',
    'ssh://git:hunter2@host/r',
    'https://host/r.git?private_token=hunter2',
    'hunter2@host:r',
  ])('has no credentials: %s', (url) => {
    expect(normaliseRepositoryUrl(url)).toBe('host/r')
  })

  test.each([
    ['/srv/git/packages.git', '/srv/git/packages'],
    ['/srv//git/./packages/', '/srv/git/packages'],
    ['/srv/git/packages/.git', '/srv/git/packages'],
    ['file:///srv/git/packages.git', '/srv/git/packages'],
    ['file://localhost/srv/git/my%20packages', '/srv/git/my packages'],
    ['file://server/srv/packages', 'server/srv/packages'],
    ['var/packages', './var/packages'],
    ['./var/packages.git', './var/packages'],
    ['../packages', '../packages'],
    ['./var/a:b', './var/a:b'],
  ])('of the local %s is %s', (url, normal) => {
    expect(normaliseRepositoryUrl(url)).toBe(normal)
  })
})

describe('the same repository', () => {
  const tracked = 'https://github.com/acme/packages'

  test.each([
    'https://token@github.com/acme/packages.git',
    'git@github.com:acme/packages.git',
    'ssh://git@github.com/acme/packages.git',
    'git://github.com/acme/packages.git',
    'https://GITHUB.com/acme/packages/',
    'https://github.com/Acme/Packages.git',
  ])('is %s', (url) => {
    expect(sameRepository(url, tracked)).toBe(true)
    expect(sameRepository(tracked, url)).toBe(true)
  })

  test.each([
    'https://github.com/acme/packages2',
    'https://github.com/other/packages',
    'https://github.com/packages',
    'https://gitlab.com/acme/packages',
    'https://github.com:8443/acme/packages',
    'https://github.com.evil.example/acme/packages',
    'https://evil.example/github.com/acme/packages',
    'https://github.com@evil.example/acme/packages',
    '/github.com/acme/packages',
    'github.com/acme/packages',
    '',
  ])('is not %j', (url) => {
    expect(sameRepository(url, tracked)).toBe(false)
    expect(sameRepository(tracked, url)).toBe(false)
  })

  test('on this machine is told apart by case', () => {
    expect(sameRepository('/srv/Packages', '/srv/packages.git')).toBe(false)
    expect(sameRepository('file:///srv/packages', '/srv/packages.git')).toBe(true)
  })
})
