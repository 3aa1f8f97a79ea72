# Package set that needs no network and no nixpkgs, for tests and benchmarks. It contains programs of this
# Debian 12 host, relinked so that they run from the store alone, and one store path for each library. The
# builders read files of the host, so they need `sandbox = false`.
{ system ? builtins.currentSystem }:
let
  make = import ./debian.nix { inherit system; };
  libraries = import ./libraries.nix make;
  data = import ./data.nix make;
  commands = import ./commands.nix (make // { host = libraries // data // commands; });
  runtimes = import ./runtimes.nix (make // { host = libraries // data // commands; });
in
libraries // data // commands // runtimes
