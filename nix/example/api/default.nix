# Service in Python that uses only the standard library.
{ package, python3 }:
package {
  name = "api-0.4";
  program = ./api.py;
  inherit python3;
  script = ''
    mkdir -p $out/bin
    sed "s|@python3@|$python3|" $program >$out/bin/api
    chmod 755 $out/bin/api
  '';
  meta.mainProgram = "api";
  passthru.imageConfig = {
    ExposedPorts."8000/tcp" = { };
    User = "65534:65534";
  };
}
