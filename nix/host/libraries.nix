# Shared libraries, one store path for each of Debian's library packages.
# Each line has: attribute = library name, Debian package, libraries that it needs in addition to glibc.
{ library, ... }:
let
  # The dynamic linker must not be changed, and libc needs only the dynamic linker.
  glibc = library { name = "glibc"; debian = "libc6"; relink = false; };
  shared = name: debian: uses: library { inherit name debian; uses = [ glibc ] ++ uses; };
in
rec {
  inherit glibc;
  brotli = shared "brotli" "libbrotli1" [ ];
  c-ares = shared "c-ares" "libc-ares2" [ ];
  expat = shared "expat" "libexpat1" [ ];
  gmp = shared "gmp" "libgmp10" [ ];
  gnutls = shared "gnutls" "libgnutls30" [ gmp libffi libidn2 libtasn1 libunistring nettle hogweed p11-kit ];
  hogweed = shared "hogweed" "libhogweed6" [ gmp nettle ];
  icu = shared "icu" "libicu72" [ libgcc libstdcxx ];
  jemalloc = shared "jemalloc" "libjemalloc2" [ libgcc libstdcxx ];
  keyutils = shared "keyutils" "libkeyutils1" [ ];
  krb5support = shared "krb5support" "libkrb5support0" [ ];
  libacl = shared "libacl" "libacl1" [ libattr ];
  libassuan = shared "libassuan" "libassuan0" [ libgpg-error ];
  libatomic = shared "libatomic" "libatomic1" [ ];
  libattr = shared "libattr" "libattr1" [ ];
  libbpf = shared "libbpf" "libbpf1" [ libelf zlib ];
  libbsd = shared "libbsd" "libbsd0" [ libmd ];
  libbz2 = shared "libbz2" "libbz2-1.0" [ ];
  libcap = shared "libcap" "libcap2" [ ];
  libcom_err = shared "libcom_err" "libcom-err2" [ ];
  libcrypt = shared "libcrypt" "libcrypt1" [ ];
  libcurl = shared "libcurl" "libcurl4" [ brotli libgssapi libidn2 libldap libpsl librtmp libssh2 libssl libzstd nghttp2 zlib ];
  libcurlGnutls = shared "libcurl-gnutls" "libcurl3-gnutls" [ brotli gnutls libgssapi libidn2 libldap libpsl librtmp libssh2 libzstd nettle nghttp2 zlib ];
  libdb = shared "libdb" "libdb5.3" [ ];
  libedit = shared "libedit" "libedit2" [ libbsd libtinfo ];
  libelf = shared "libelf" "libelf1" [ zlib ];
  libffi = shared "libffi" "libffi8" [ ];
  libgcc = shared "libgcc" "libgcc-s1" [ ];
  libgcrypt = shared "libgcrypt" "libgcrypt20" [ libgpg-error ];
  libgpg-error = shared "libgpg-error" "libgpg-error0" [ ];
  libgssapi = shared "libgssapi-krb5" "libgssapi-krb5-2" [ krb5support libcom_err libk5crypto libkrb5 ];
  libidn2 = shared "libidn2" "libidn2-0" [ libunistring ];
  libjq = shared "libjq" "libjq1" [ libonig ];
  libk5crypto = shared "libk5crypto" "libk5crypto3" [ krb5support ];
  libkrb5 = shared "libkrb5" "libkrb5-3" [ keyutils krb5support libcom_err libk5crypto ];
  libldap = shared "libldap" "libldap-2.5-0" [ gnutls libsasl2 ];
  liblz4 = shared "liblz4" "liblz4-1" [ ];
  liblzf = shared "liblzf" "liblzf1" [ ];
  liblzma = shared "liblzma" "liblzma5" [ ];
  libmagic = shared "libmagic" "libmagic1" [ libbz2 liblzma zlib ];
  libmd = shared "libmd" "libmd0" [ ];
  libmnl = shared "libmnl" "libmnl0" [ ];
  libncursesw = shared "libncursesw" "libncursesw6" [ libtinfo ];
  libnl = shared "libnl" "libnl-3-200" [ ];
  libnlGenl = shared "libnl-genl" "libnl-genl-3-200" [ libnl ];
  libnsl = shared "libnsl" "libnsl2" [ libtirpc ];
  libonig = shared "libonig" "libonig5" [ ];
  libproc2 = shared "libproc2" "libproc2-0" [ libsystemd ];
  libpsl = shared "libpsl" "libpsl5" [ libidn2 libunistring ];
  librtmp = shared "librtmp" "librtmp1" [ gmp gnutls hogweed nettle zlib ];
  libsasl2 = shared "libsasl2" "libsasl2-2" [ ];
  libselinux = shared "libselinux" "libselinux1" [ pcre2 ];
  libsigsegv = shared "libsigsegv" "libsigsegv2" [ ];
  libsqlite3 = shared "libsqlite3" "libsqlite3-0" [ ];
  libssh2 = shared "libssh2" "libssh2-1" [ libssl zlib ];
  libssl = shared "libssl" "libssl3" [ ];
  libstdcxx = shared "libstdcxx" "libstdc++6" [ libgcc ];
  libsystemd = shared "libsystemd" "libsystemd0" [ libcap libgcrypt liblz4 liblzma libzstd ];
  libtasn1 = shared "libtasn1" "libtasn1-6" [ ];
  libtinfo = shared "libtinfo" "libtinfo6" [ ];
  libtirpc = shared "libtirpc" "libtirpc3" [ libgssapi ];
  libunistring = shared "libunistring" "libunistring2" [ ];
  libunwind = shared "libunwind" "libunwind8" [ liblzma ];
  libuuid = shared "libuuid" "libuuid1" [ ];
  libuv = shared "libuv" "libuv1" [ ];
  libzstd = shared "libzstd" "libzstd1" [ ];
  mpfr = shared "mpfr" "libmpfr6" [ gmp ];
  nettle = shared "nettle" "libnettle8" [ ];
  nghttp2 = shared "nghttp2" "libnghttp2-14" [ ];
  npth = shared "npth" "libnpth0" [ ];
  p11-kit = shared "p11-kit" "libp11-kit0" [ libffi ];
  pcre2 = shared "pcre2" "libpcre2-8-0" [ ];
  popt = shared "popt" "libpopt0" [ ];
  readline = shared "readline" "libreadline8" [ libtinfo ];
  xxHash = shared "xxhash" "libxxhash0" [ ];
  zlib = shared "zlib" "zlib1g" [ ];
}
