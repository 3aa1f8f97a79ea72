# Command-line programs, with the same names as in nixpkgs.
{ program, host, ... }:
with host;
let
  # For programs that draw on the terminal.
  console.TERMINFO_DIRS = "${terminfo}/share/terminfo";
in
{
  bashInteractive = program {
    name = "bash";
    programs = [ "bash" ];
    uses = [ glibc libtinfo ];
    extra = "ln -s bash $out/bin/sh";
  };

  # As in nixpkgs, a file of another package wins over the one of busybox.
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

  bzip2 = program {
    name = "bzip2";
    programs = [ "bunzip2" "bzcat" "bzip2" ];
    uses = [ glibc libbz2 ];
    meta.mainProgram = "bzip2";
  };

  coreutils = program {
    name = "coreutils";
    uses = [ glibc gmp libacl libattr libselinux ];
    folders."libexec/coreutils" = "libexec/coreutils";
    # stdbuf looks for its library in its own folder first, then in /usr/libexec.
    extra = "ln -s ../libexec/coreutils/libstdbuf.so $out/bin";
  };

  curl = program {
    name = "curl";
    uses = [ glibc libcurl zlib ];
    meta.mainProgram = "curl";
  };

  diffutils = program {
    name = "diffutils";
    uses = [ glibc ];
  };

  file = program {
    name = "file";
    debian = [ "file" "libmagic-mgc" ];
    uses = [ bashInteractive glibc libmagic ];
    folders."lib/file" = "share/misc";
    environment.MAGIC = "\${MAGIC:-@out@/share/misc/magic.mgc}";
    meta.mainProgram = "file";
  };

  findutils = program {
    name = "findutils";
    uses = [ glibc libselinux ];
  };

  gawk = program {
    name = "gawk";
    programs = [ "gawk" ];
    uses = [ glibc gmp libsigsegv mpfr readline ];
    extra = "ln -s gawk $out/bin/awk";
    meta.mainProgram = "gawk";
  };

  # Git runs hooks, aliases and clones of local folders with /bin/sh, so images that need these also need
  # `shell`.
  git = program {
    name = "git";
    programs = [ "git" "git-receive-pack" "git-shell" "git-upload-archive" "git-upload-pack" ];
    uses = [ bashInteractive expat glibc libcurlGnutls pcre2 zlib ];
    folders = {
      "lib/git-core" = "libexec/git-core";
      "share/git-core/templates" = "share/git-core/templates";
    };
    # Git would copy the example hooks into each new repository; git-add--interactive needs Perl.
    without = [ "*/hooks/*" "*/git-add--interactive" ];
    environment = {
      GIT_EXEC_PATH = "@out@/libexec/git-core";
      # libcurl with GnuTLS ignores SSL_CERT_FILE.
      GIT_SSL_CAINFO = "\${GIT_SSL_CAINFO:-\${SSL_CERT_FILE:-${cacert}/etc/ssl/certs/ca-bundle.crt}}";
      GIT_TEMPLATE_DIR = "@out@/share/git-core/templates";
    };
    meta.mainProgram = "git";
  };

  gnugrep = program {
    name = "gnugrep";
    debian = [ "grep" ];
    programs = [ "egrep" "fgrep" "grep" ];
    uses = [ bashInteractive glibc pcre2 ];
    meta.mainProgram = "grep";
  };

  gnupg = program {
    name = "gnupg";
    debian = [ "gpg" "gpg-agent" "gpgconf" "gpgv" ];
    programs = [ "gpg" "gpg-agent" "gpg-connect-agent" "gpgconf" "gpgv" ];
    uses = [ glibc libassuan libbz2 libgcrypt libgpg-error libsqlite3 npth readline zlib ];
    # gpg finds gpg-agent by this file.
    extra = "echo rootdir=$out >$out/bin/gpgconf.ctl";
    meta.mainProgram = "gpg";
  };

  gnused = program {
    name = "gnused";
    debian = [ "sed" ];
    uses = [ glibc libacl libselinux ];
    meta.mainProgram = "sed";
  };

  gnutar = program {
    name = "gnutar";
    debian = [ "tar" ];
    programs = [ "tar" ];
    uses = [ glibc libacl libselinux ];
    meta.mainProgram = "tar";
  };

  gzip = program {
    name = "gzip";
    programs = [ "gunzip" "gzip" "zcat" ];
    uses = [ bashInteractive glibc ];
    meta.mainProgram = "gzip";
  };

  hello = program {
    name = "hello";
    uses = [ glibc ];
    meta.mainProgram = "hello";
  };

  htop = program {
    name = "htop";
    uses = [ bashInteractive glibc libncursesw libnl libnlGenl libtinfo ];
    environment = console;
    meta.mainProgram = "htop";
  };

  iproute2 = program {
    name = "iproute2";
    programs = [ "bridge" "ip" "ss" ];
    uses = [ glibc libbpf libbsd libcap libelf libmnl libselinux libtirpc ];
    meta.mainProgram = "ip";
  };

  jq = program {
    name = "jq";
    uses = [ glibc libjq libonig ];
    meta.mainProgram = "jq";
  };

  less = program {
    name = "less";
    programs = [ "less" ];
    uses = [ bashInteractive glibc libtinfo ];
    environment = console;
    meta.mainProgram = "less";
  };

  mawk = program {
    name = "mawk";
    uses = [ glibc ];
    extra = "ln -s mawk $out/bin/awk";
    meta.mainProgram = "mawk";
  };

  # The other programs of moreutils need Perl.
  moreutils = program {
    name = "moreutils";
    programs = [ "errno" "ifdata" "ifne" "isutf8" "lckdo" "mispipe" "parallel" "pee" "sponge" ];
    uses = [ glibc ];
  };

  nano = program {
    name = "nano";
    uses = [ bashInteractive glibc libncursesw libtinfo ];
    environment = console;
    meta.mainProgram = "nano";
  };

  # scp and sftp look for /usr/bin/ssh, in the root of an image.
  openssh = program {
    name = "openssh";
    debian = [ "openssh-client" ];
    programs = [ "scp" "sftp" "ssh" "ssh-add" "ssh-agent" "ssh-keygen" "ssh-keyscan" ];
    uses = [ glibc libedit libgssapi libselinux libssl zlib ];
    extra = "mkdir -p $out/usr/bin; ln -s ../../bin/ssh $out/usr/bin";
    meta.mainProgram = "ssh";
  };

  openssl = program {
    name = "openssl";
    programs = [ "openssl" ];
    uses = [ bashInteractive glibc libssl ];
    folders."etc/ssl/openssl.cnf" = "etc/ssl/openssl.cnf";
    environment.OPENSSL_CONF = "\${OPENSSL_CONF:-@out@/etc/ssl/openssl.cnf}";
    meta.mainProgram = "openssl";
  };

  procps = program {
    name = "procps";
    programs = [ "free" "kill" "pgrep" "pkill" "pmap" "ps" "sysctl" "top" "uptime" "vmstat" "w" "watch" ];
    uses = [ bashInteractive glibc libncursesw libproc2 libsystemd libtinfo ];
    environment = console;
    meta.mainProgram = "ps";
  };

  ripgrep = program {
    name = "ripgrep";
    uses = [ glibc libgcc pcre2 ];
    meta.mainProgram = "rg";
  };

  rsync = program {
    name = "rsync";
    programs = [ "rsync" ];
    uses = [ glibc libacl liblz4 libssl libzstd popt xxHash zlib ];
    meta.mainProgram = "rsync";
  };

  sqlite = program {
    name = "sqlite";
    debian = [ "sqlite3" ];
    uses = [ glibc libsqlite3 readline zlib ];
    meta.mainProgram = "sqlite3";
  };

  strace = program {
    name = "strace";
    programs = [ "strace" ];
    uses = [ glibc libunwind ];
    meta.mainProgram = "strace";
  };

  tini = program {
    name = "tini";
    programs = [ "tini" ];
    uses = [ glibc ];
    meta.mainProgram = "tini";
  };

  tree = program {
    name = "tree";
    uses = [ glibc ];
    meta.mainProgram = "tree";
  };

  wget = program {
    name = "wget";
    uses = [ glibc gnutls libidn2 libpsl libuuid nettle pcre2 zlib ];
    meta.mainProgram = "wget";
  };

  xz = program {
    name = "xz";
    debian = [ "xz-utils" ];
    programs = [ "unxz" "xz" "xzcat" ];
    uses = [ glibc liblzma ];
    meta.mainProgram = "xz";
  };

  zstd = program {
    name = "zstd";
    programs = [ "unzstd" "zstd" "zstdcat" ];
    uses = [ glibc libgcc liblz4 liblzma libstdcxx zlib ];
    meta.mainProgram = "zstd";
  };
}
