# A package set that needs no network and no nixpkgs: the programs that Debian 12 installed on this
# host, relinked so that each runs from the store alone, with one store path for each of the
# libraries. For trying, testing and measuring; the builders read the host (`sandbox = false`).
{ system ? builtins.currentSystem }:
let
  make = import ./debian.nix { inherit system; };
  libraries = import ./libraries.nix make;
  data = import ./data.nix make;
  commands = import ./commands.nix (make // { host = libraries // data // commands; });
  runtimes = import ./runtimes.nix (make // { host = libraries // data // commands; });
in
libraries // data // commands // runtimes
