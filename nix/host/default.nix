# A package set that needs no network and no nixpkgs: the programs that Debian 12 installed on this
# host, relinked so that each runs from the store alone, with one store path for each of the
# libraries. For trying, testing and measuring; the builders read the host (`sandbox = false`).
{ system ? builtins.currentSystem }:
let
  inherit (import ./debian.nix { inherit system; }) library program data;
  libraries = import ./libraries.nix { inherit library; };
in
libraries // (with libraries; rec {
  bashInteractive = program {
    name = "bash";
    programs = [ "bash" ];
    uses = [ glibc libtinfo ];
    extra = "ln -s bash $out/bin/sh";
  };

  # In nixpkgs busybox is meant for what the others lack; so they win here as well.
  busybox = program {
    name = "busybox";
    programs = [ "busybox" ];
    uses = [ glibc ];
    extra = ''
      for applet in $($out/bin/busybox --list); do
        [ $applet = busybox ] || ln -s busybox $out/bin/$applet
      done
    '';
    meta = { mainProgram = "busybox"; priority = 10; };
  };

  cacert = data {
    name = "cacert";
    debian = [ "ca-certificates" ];
    script = ''
      mkdir -p $out/etc/ssl/certs
      cat /usr/share/ca-certificates/mozilla/*.crt >$out/etc/ssl/certs/ca-bundle.crt
      exit 0
    '';
  };

  coreutils = program {
    name = "coreutils";
    uses = [ glibc gmp libacl libattr libselinux ];
    folders."libexec/coreutils" = "libexec/coreutils";
    # stdbuf looks for its library beside itself before it looks in /usr/libexec.
    extra = "ln -s ../libexec/coreutils/libstdbuf.so $out/bin";
  };

  curl = program {
    name = "curl";
    uses = [ glibc libcurl zlib ];
    meta.mainProgram = "curl";
  };

  # Hooks, aliases and clones of a local folder are run by /bin/sh: an image for those takes a shell too.
  git = program {
    name = "git";
    programs = [ "git" "git-receive-pack" "git-shell" "git-upload-archive" "git-upload-pack" ];
    uses = [ bashInteractive expat glibc libcurlGnutls pcre2 zlib ];
    folders = {
      "lib/git-core" = "libexec/git-core";
      "share/git-core/templates" = "share/git-core/templates";
    };
    # The examples of hooks would be copied into each new repository; the other needs Perl.
    without = [ "*/hooks/*" "*/git-add--interactive" ];
    environment = {
      GIT_EXEC_PATH = "@out@/libexec/git-core";
      # The GnuTLS flavour of libcurl does not know SSL_CERT_FILE.
      GIT_SSL_CAINFO = "\${GIT_SSL_CAINFO:-\${SSL_CERT_FILE:-${cacert}/etc/ssl/certs/ca-bundle.crt}}";
      GIT_TEMPLATE_DIR = "@out@/share/git-core/templates";
    };
    meta.mainProgram = "git";
  };

  hello = program {
    name = "hello";
    uses = [ glibc ];
    meta.mainProgram = "hello";
  };

  iana-etc = data {
    name = "iana-etc";
    debian = [ "netbase" ];
    script = ''
      mkdir -p $out/etc
      cp /etc/protocols /etc/services $out/etc
      exit 0
    '';
  };

  jq = program {
    name = "jq";
    uses = [ glibc libjq libonig ];
    meta.mainProgram = "jq";
  };

  # The others of moreutils are Perl.
  moreutils = program {
    name = "moreutils";
    programs = [ "errno" "ifdata" "ifne" "isutf8" "lckdo" "mispipe" "parallel" "pee" "sponge" ];
    uses = [ glibc ];
  };

  nano = program {
    name = "nano";
    uses = [ bashInteractive glibc libncursesw libtinfo ];
    environment.TERMINFO_DIRS = "${terminfo}/share/terminfo";
    meta.mainProgram = "nano";
  };

  openssl = program {
    name = "openssl";
    programs = [ "openssl" ];
    uses = [ glibc libssl ];
    meta.mainProgram = "openssl";
  };

  terminfo = data {
    name = "terminfo";
    debian = [ "ncurses-base" ];
    script = ''
      mkdir -p $out/share
      cp -R /lib/terminfo $out/share/terminfo
      exit 0
    '';
  };
})
