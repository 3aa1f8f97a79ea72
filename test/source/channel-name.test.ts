import { expect, test } from 'vitest'
import { isChannelName, isUrlTemplate } from '../../service/source/channel-name.ts'
import { isNixpkgsCommit } from '../../service/source/nixpkgs-commit-id.ts'

test.each([
  ['nixos-24.11', true],
  ['nixpkgs-unstable', true],
  ['nixpkgs-24.11-darwin', true],
  ['x'.repeat(128), true],
  ['x'.repeat(129), false],
  ['', false],
  ['.', false],
  ['..', false],
  ['-x', false],
  ['a/b', false],
  ['a%2fb', false],
  ['a\n', false],
])('isChannelName(%j) is %s', (text, allowed) => {
  expect(isChannelName(text)).toBe(allowed)
})

test.each([
  ['a'.repeat(40), true],
  ['A0'.repeat(20), true],
  ['a'.repeat(39), false],
  ['a'.repeat(64), false],
  ['g'.repeat(40), false],
])('isNixpkgsCommit("%s") is %s', (text, expected) => {
  expect(isNixpkgsCommit(text)).toBe(expected)
})

test.each([
  ['https://channels.nixos.org/{channel}/git-revision', true],
  ['http://user:password@localhost:8080/{channel}', true],
  ['https://{channel}.example.com/', true],
  ['https://example.com/{commit}', false],
  ['https://example.com/', false],
  ['ftp://example.com/{channel}', false],
  ['https:///{channel}', false],
  ['https://example.com:port/{channel}', false],
  ['{channel}', false],
])('isUrlTemplate("%s", "channel") is %s', (text, allowed) => {
  expect(isUrlTemplate(text, 'channel')).toBe(allowed)
})
