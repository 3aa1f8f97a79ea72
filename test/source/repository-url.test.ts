import { describe, expect, test } from 'vitest'
import { isSameRepository, normaliseRepositoryUrl } from '../../service/source/repository-url.ts'

describe('normaliseRepositoryUrl', () => {
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
  ])('the normal form of %j is %s', (url, normal) => {
    expect(normaliseRepositoryUrl(url)).toBe(normal)
  })

  test.each([
    ['ssh://git@git.example.com:2222/acme/p.git', 'git.example.com:2222/acme/p'],
    ['http://git.example.com:3000/acme/p', 'git.example.com:3000/acme/p'],
    ['https://git.example.com:80/acme/p', 'git.example.com:80/acme/p'],
    ['ssh://git.example.com/~ann/p', 'git.example.com/~ann/p'],
    ['https://[2001:DB8::1]:8443/p.git', '[2001:db8::1]:8443/p'],
    ['git@[::1]:p.git', '[::1]/p'],
  ])('the normal form keeps a port that is not the default: %s', (url, normal) => {
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
  ])('the normal form contains no credentials: %s', (url) => {
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
  ])('the normal form of the local repository %s is %s', (url, normal) => {
    expect(normaliseRepositoryUrl(url)).toBe(normal)
  })
})

describe('isSameRepository', () => {
  const tracked = 'https://github.com/acme/packages'

  test.each([
    'https://token@github.com/acme/packages.git',
    'git@github.com:acme/packages.git',
    'ssh://git@github.com/acme/packages.git',
    'git://github.com/acme/packages.git',
    'https://GITHUB.com/acme/packages/',
    'https://github.com/Acme/Packages.git',
  ])('%s is the same repository as https://github.com/acme/packages', (url) => {
    expect(isSameRepository(url, tracked)).toBe(true)
    expect(isSameRepository(tracked, url)).toBe(true)
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
  ])('%j is not the same repository as https://github.com/acme/packages', (url) => {
    expect(isSameRepository(url, tracked)).toBe(false)
    expect(isSameRepository(tracked, url)).toBe(false)
  })

  test('local repositories are compared with regard to case', () => {
    expect(isSameRepository('/srv/Packages', '/srv/packages.git')).toBe(false)
    expect(isSameRepository('file:///srv/packages', '/srv/packages.git')).toBe(true)
  })
})
