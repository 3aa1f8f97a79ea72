# Package set of `scripts/bench`: large, small and many images. The benchmark copies nix/host to `host` and
# nix/example to `example` beside this file. The packages are only packed, they cannot be run.
{ system ? builtins.currentSystem }:
let
  make = import ./host/debian.nix { inherit system; };
  host = import ./host { inherit system; };
  # Without nodejs, whose size differs between Debian and NodeSource, and without git, which compresses
  # unusually.
  libraries = import ./libraries.nix {
    inherit (make) data library program;
    host = removeAttrs host [ "git" "nodejs" ];
  };
  measuring = import ./example/measuring.nix {
    inherit (make) data;
    package = import ./example/package.nix { inherit (host) busybox; };
  };
in
libraries // import ./slices.nix { inherit (make) data; } // {
  inherit (measuring) many-files;
}
