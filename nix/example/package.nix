# A package from a few shell commands that fill $out. Their tools are a busybox of the machine that
# builds, whatever system the package is for.
{ busybox }:
{ script, meta ? { }, passthru ? { }, ... }@arguments:
derivation (removeAttrs arguments [ "script" "meta" "passthru" ] // {
  system = builtins.currentSystem;
  builder = "${busybox}/bin/sh";
  PATH = "${busybox}/bin";
  # Nix 2.8 sometimes kills a builder whose last command is another program.
  args = [ "-euc" "${script}\nexit 0" ];
}) // { inherit meta passthru; }
