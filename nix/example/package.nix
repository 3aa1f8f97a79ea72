# Makes a package from shell commands that fill $out. They use the busybox of the machine that builds, also
# for packages of another system.
{ busybox }:
{ script, meta ? { }, passthru ? { }, ... }@arguments:
derivation (removeAttrs arguments [ "script" "meta" "passthru" ] // {
  system = builtins.currentSystem;
  builder = "${busybox}/bin/sh";
  PATH = "${busybox}/bin";
  # Nix 2.8 sometimes kills a builder whose last command runs another program.
  args = [ "-euc" "${script}\nexit 0" ];
}) // { inherit meta passthru; }
