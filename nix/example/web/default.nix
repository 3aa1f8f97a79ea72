# Static site served by nginx without root.
{ package, nginx, shell, site }:
package {
  name = "web-1.2";
  config = ./nginx.conf;
  inherit nginx shell site;
  script = ''
    mkdir -p $out/bin $out/etc/web
    sed "s|@nginx@|$nginx|; s|@site@|$site|" $config >$out/etc/web/nginx.conf
    {
      echo "#!$shell/bin/sh"
      echo "exec $nginx/bin/nginx -c $out/etc/web/nginx.conf -g 'daemon off;'"
    } >$out/bin/web
    chmod 755 $out/bin/web
  '';
  meta.mainProgram = "web";
  passthru.imageConfig = {
    ExposedPorts."8080/tcp" = { };
    StopSignal = "SIGQUIT";
    User = "65534:65534";
  };
}
