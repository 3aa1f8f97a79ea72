/** Settings of the source: where the package set comes from. */
import { join } from 'node:path'
import { z } from 'zod'
import { isChannelName } from '../source/channel-name.ts'
import type { SettingFailure } from './config-error.ts'
import { absolutePath, isReadableFile, urlTemplate } from './setting-types.ts'

export type SourceConfig =
  /** Any URL that `git fetch` takes. It may hold credentials: never show it unscrubbed. */
  | { readonly kind: 'git'; readonly url: string }
  /** Absolute path of a folder with a `default.nix`. */
  | { readonly kind: 'path'; readonly folder: string }
  | ChannelConfig

/** A channel of nixpkgs. The URLs are templates and may hold credentials. */
export interface ChannelConfig {
  readonly kind: 'channel'
  readonly channel: string
  /** Returns the commit of `{channel}`. */
  readonly channelUrl: string
  /** Returns the tree of `{commit}` as a tarball. */
  readonly tarballUrl: string
  /** Says whether `{commit}` is in the history of `{branch}`. If absent, every commit is trusted. */
  readonly compareUrl?: string
}

export const sourceSettings = {
  NIXERY_PKGS_REPO: z.string().optional(),
  NIXERY_PKGS_PATH: absolutePath
    .refine(
      (path) => isReadableFile(join(path, 'default.nix')),
      'a folder with a default.nix in it',
    )
    .optional(),
  NIXERY_CHANNEL: z
    .string()
    .refine(
      isChannelName,
      'the name of a nixpkgs channel such as nixos-24.11: letters, digits, ".", "_" and "-"',
    )
    .optional(),
  SLIPWAY_CHANNEL_URL: urlTemplate('channel').default(
    'https://channels.nixos.org/{channel}/git-revision',
  ),
  SLIPWAY_NIXPKGS_URL: urlTemplate('commit').default(
    'https://github.com/NixOS/nixpkgs/archive/{commit}.tar.gz',
  ),
  SLIPWAY_NIXPKGS_COMPARE_URL: z
    .union([z.literal('none'), urlTemplate('branch', 'commit')], {
      error: 'an http(s) URL that contains {branch} and {commit}, or none',
    })
    .default('https://api.github.com/repos/NixOS/nixpkgs/compare/{branch}...{commit}?per_page=1'),
}

/** The settings that choose a source, with their meaning. */
const choices = {
  NIXERY_PKGS_REPO: 'the URL of a git repository with the package set',
  NIXERY_PKGS_PATH: 'a local folder with the package set',
  NIXERY_CHANNEL: 'a channel of nixpkgs',
}

/** Returns a failure unless exactly one source is chosen. */
export function sourceFailures(set: NodeJS.ProcessEnv): SettingFailure[] {
  const chosen = Object.keys(choices).filter((variable) => set[variable] !== undefined)
  const meanings = Object.entries(choices)
    .map(([variable, meaning]) => `${variable} (${meaning})`)
    .join(', ')
  if (chosen.length === 0) {
    return [{ variable: 'no source', message: `set one of: ${meanings}` }]
  }
  if (chosen.length > 1) {
    return [{ variable: chosen.join(' and '), message: `are set; set exactly one of: ${meanings}` }]
  }
  return []
}

export function sourceOf(values: z.infer<z.ZodObject<typeof sourceSettings>>): SourceConfig {
  const { NIXERY_CHANNEL: channel, NIXERY_PKGS_PATH: folder, NIXERY_PKGS_REPO: url = '' } = values
  if (folder !== undefined) return { kind: 'path', folder }
  if (channel === undefined) return { kind: 'git', url }
  const compareUrl = values.SLIPWAY_NIXPKGS_COMPARE_URL
  return {
    kind: 'channel',
    channel,
    channelUrl: values.SLIPWAY_CHANNEL_URL,
    tarballUrl: values.SLIPWAY_NIXPKGS_URL,
    ...(compareUrl === 'none' ? {} : { compareUrl }),
  }
}
