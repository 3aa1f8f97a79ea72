# Packages that fail, each in another way.
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

  broken-abort = abort "broken-abort always aborts the evaluation";

  broken-type = package { name = "broken-type-" + 1; script = ""; };

  # Builds for a day. `exec` leaves one process, so that nothing is left when Nix kills it.
  sleeper = package {
    name = "sleeper-1";
    script = ''
      echo "sleeping"
      exec sleep 86400
    '';
  };
}
