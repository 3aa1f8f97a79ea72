/** Platforms of images, with their names in OCI and in Nix. */

export interface Platform {
  readonly os: 'linux'
  /** `architecture` of the image config: a GOARCH value. */
  readonly architecture: 'amd64' | 'arm64'
  /** Nix system: `x86_64-linux`. */
  readonly system: string
}

export const amd64: Platform = { os: 'linux', architecture: 'amd64', system: 'x86_64-linux' }
export const arm64: Platform = { os: 'linux', architecture: 'arm64', system: 'aarch64-linux' }
