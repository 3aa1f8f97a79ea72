# What `scripts/bench` pulls: large images, small ones, and many at once. Beside this file are `host`,
# the packages of nix/host, and `example`, those of nix/example. Nothing here can be run; it is there to be packed.
{ system ? builtins.currentSystem }:
let
  make = import ./host/debian.nix { inherit system; };
  host = import ./host { inherit system; };
  # Of Debian's Node there are two kinds, of very different sizes; git compresses like no other program.
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
