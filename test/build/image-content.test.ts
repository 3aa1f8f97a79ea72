import { expect, test } from 'vitest'
import { containerConfigOf, linkFarmOf } from '../../service/build/image-content.ts'
import { parseImageName } from '../../service/image/image-name.ts'
import { evaluated, storePathOf } from '../support/fake-nix.ts'

const name = parseImageName('git/hello')
const packages = ['hello', 'git', 'cacert'].map((one) => evaluated(one))
const pathInfo = (path: string) => ({ path, narSize: 1, references: [] })

test('the link farm marks requested packages and does not depend on their order', () => {
  const linkFarm = linkFarmOf(name, packages, [])
  expect(linkFarm).toEqual(linkFarmOf(name, packages.toReversed(), []))
  const requested = linkFarm.packages.filter((one) => one.isRequested).map((one) => one.name)
  expect(requested.toSorted()).toEqual(['git', 'hello'])
  expect(linkFarm).not.toHaveProperty('env')
})

test('/usr/bin/env is that of a coreutils package, else that of a coreutils in the closure', () => {
  const own = evaluated('coreutils')
  const other = `/nix/store/${'0'.repeat(32)}-coreutils-full-9.1`
  const env = (...args: Parameters<typeof linkFarmOf>) => linkFarmOf(...args).env
  expect(env(name, packages, [pathInfo(other)])).toBe(other)
  expect(env(name, [...packages, own], [pathInfo(other)])).toBe(storePathOf('coreutils'))
  const similar = `/nix/store/${'0'.repeat(32)}-coreutils-doc-9.1`
  expect(env(name, packages, [pathInfo(similar)])).toBeUndefined()
})

test('an added package configures no container, but cacert sets SSL_CERT_FILE', () => {
  const added = evaluated('cacert', { imageConfig: { Env: ['FROM=cacert'] } })
  const { Env } = containerConfigOf(parseImageName('hello'), [evaluated('hello'), added])
  expect(Env).toContain('SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt')
  expect(Env).not.toContain('FROM=cacert')
})
