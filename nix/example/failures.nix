# Packages that cannot be had, each in its own way.
{ package }:
{
  broken-build = package {
    name = "broken-build-1";
    script = ''
      echo "checking for a compiler... cc"
      echo "compiling broken.c"
      echo "broken.c:3: error: expected ';' before '}' token" >&2
      exit 1
    '';
  };

  broken-eval = throw "broken-eval needs a licence that this company does not have";

  broken-abort = abort "broken-abort must never be asked for";

  broken-type = package { name = "broken-type-" + 1; script = ""; };

  # Takes longer than anybody waits. One process, so that nothing is left when Nix kills it.
  sleeper = package {
    name = "sleeper-1";
    script = ''
      echo "sleeping"
      exec sleep 86400
    '';
  };
}
