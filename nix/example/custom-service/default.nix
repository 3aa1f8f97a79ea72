# Service of the company that answers HTTP requests with its version. A release changes only the file
# `version`.
{ package, busybox }:
let
  version = builtins.head (builtins.match "([^\n]*)\n*" (builtins.readFile ./version));
in
package {
  name = "custom-service-${version}";
  program = ./custom-service;
  inherit version busybox;
  script = ''
    mkdir -p $out/bin $out/share/custom-service
    echo "custom-service $version" >$out/share/custom-service/index.html
    sed "s|@busybox@|$busybox|; s|@version@|$version|; s|@out@|$out|" $program >$out/bin/custom-service
    chmod 755 $out/bin/custom-service
  '';
  meta = {
    description = "Answers HTTP requests with its version";
    mainProgram = "custom-service";
  };
}
