# Language runtimes and servers.
{ program, triplet, host, ... }:
with host;
rec {
  # By default, serves Debian's welcome page and logs to stdout and stderr.
  nginx = program {
    name = "nginx";
    debian = [ "nginx" "nginx-common" ];
    programs = [ "nginx" ];
    uses = [ bashInteractive glibc libcrypt libssl pcre2 zlib ];
    folders = {
      "etc/nginx/mime.types" = "etc/nginx/mime.types";
      "share/nginx/html" = "share/nginx/html";
    };
    config = ./nginx.conf;
    # Later command-line options win, so "$@" can override these.
    extra = ''
      sed "s|@out@|$out|" $config >$out/etc/nginx/nginx.conf
      mkdir -p $out/libexec
      mv $out/bin/nginx $out/libexec/nginx
      printf '#!/bin/sh\nexec %s -e stderr -c %s "$@"\n' \
        $out/libexec/nginx $out/etc/nginx/nginx.conf >$out/bin/nginx
      chmod 755 $out/bin/nginx
    '';
    meta.mainProgram = "nginx";
    passthru.imageConfig = {
      Cmd = [ "${nginx}/bin/nginx" "-g" "daemon off;" ];
      ExposedPorts."80/tcp" = { };
      StopSignal = "SIGQUIT";
    };
  };

  # Most of Debian's Node is in libnode, which reads some of its modules from /usr/share/nodejs. That path is
  # compiled in, so an image whose programs run node needs this package's `usr` in its root. NodeSource's
  # package of the same name is a single program that needs none of this.
  nodejs = program {
    name = "nodejs";
    besides = [ "libnode108" "node-acorn" "node-cjs-module-lexer" "node-undici" ];
    programs = [ "node" ];
    uses = [ brotli c-ares glibc icu libgcc libssl libstdcxx libuv nghttp2 zlib ];
    folders = builtins.listToAttrs (map
      (path: { name = "share/nodejs/${path}"; value = "usr/share/nodejs/${path}"; })
      [
        "acorn-walk/dist/walk.js"
        "acorn/dist/acorn.js"
        "cjs-module-lexer/dist/lexer.js"
        "cjs-module-lexer/lexer.js"
        "undici/undici-fetch.js"
      ]);
    meta.mainProgram = "node";
  };

  # Has the modules of perl-base.
  perl = program {
    name = "perl";
    debian = [ "perl-base" ];
    programs = [ "perl" ];
    uses = [ bashInteractive glibc libcrypt ];
    folders."lib/${triplet}/perl-base" = "lib/perl5";
    environment.PERL5LIB = "@out@/lib/perl5\${PERL5LIB:+:$PERL5LIB}";
    meta.mainProgram = "perl";
  };

  python3 = program {
    name = "python3";
    debian = [ "python3.11-minimal" "libpython3.11-minimal" "libpython3.11-stdlib" ];
    programs = [ "python3.11" ];
    uses = [
      expat glibc libbz2 libcrypt libdb libffi liblzma libncursesw libnsl libsqlite3 libssl libtinfo
      libtirpc libuuid readline zlib
    ];
    folders."lib/python3.11" = "lib/python3.11";
    # A link to the configuration of Debian's own Python, which is not copied.
    without = [ "*/sitecustomize.py" ];
    extra = ''
      ln -s python3.11 $out/bin/python3
      ln -s python3.11 $out/bin/python
    '';
    meta.mainProgram = "python3";
  };

  # redis-server and redis-check-rdb are the same program.
  redis = program {
    name = "redis";
    debian = [ "redis-tools" ];
    programs = [ "redis-benchmark" "redis-check-rdb" "redis-cli" ];
    uses = [ glibc jemalloc libatomic liblzf libssl libsystemd ];
    extra = "ln -s redis-check-rdb $out/bin/redis-server";
    meta.mainProgram = "redis-server";
  };
}
