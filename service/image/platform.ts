/** The platforms that images are made for, in the words of OCI and of Nix. */

export interface Platform {
  readonly os: 'linux'
  /** As in GOARCH: the image config's `architecture`. */
  readonly architecture: 'amd64' | 'arm64'
  /** Nix's name of the same. */
  readonly system: string
}

export const amd64: Platform = { os: 'linux', architecture: 'amd64', system: 'x86_64-linux' }
export const arm64: Platform = { os: 'linux', architecture: 'arm64', system: 'aarch64-linux' }
