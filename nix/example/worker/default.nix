# Worker in JavaScript. Debian's Node needs its `usr` in the root of the image.
{ package, nodejs }:
package {
  name = "worker-3.0";
  program = ./worker.js;
  inherit nodejs;
  script = ''
    mkdir -p $out/bin
    sed "s|@nodejs@|$nodejs|" $program >$out/bin/worker
    chmod 755 $out/bin/worker
    if [ -d $nodejs/usr ]; then ln -s $nodejs/usr $out/usr; fi
  '';
  meta.mainProgram = "worker";
}
