# Shared libraries, one store path for each of Debian's library packages.
# A line is: attribute = library name, Debian package, the libraries it is linked to besides glibc.
{ library }:
let
  # The dynamic linker must stay as it is, and libc needs nothing but that.
  glibc = library { name = "glibc"; debian = "libc6"; relink = false; };
  shared = name: debian: uses: library { inherit name debian; uses = [ glibc ] ++ uses; };
in
rec {
  inherit glibc;
  brotli = shared "brotli" "libbrotli1" [ ];
  expat = shared "expat" "libexpat1" [ ];
  gmp = shared "gmp" "libgmp10" [ ];
  gnutls = shared "gnutls" "libgnutls30" [ gmp libffi libidn2 libtasn1 libunistring nettle hogweed p11-kit ];
  hogweed = shared "hogweed" "libhogweed6" [ gmp nettle ];
  keyutils = shared "keyutils" "libkeyutils1" [ ];
  krb5support = shared "krb5support" "libkrb5support0" [ ];
  libacl = shared "libacl" "libacl1" [ libattr ];
  libattr = shared "libattr" "libattr1" [ ];
  libcom_err = shared "libcom_err" "libcom-err2" [ ];
  libcurl = shared "libcurl" "libcurl4" [ brotli libgssapi libidn2 libldap libpsl librtmp libssh2 libssl nghttp2 zlib zstd ];
  libcurlGnutls = shared "libcurl-gnutls" "libcurl3-gnutls" [ brotli gnutls libgssapi libidn2 libldap libpsl librtmp libssh2 nettle nghttp2 zlib zstd ];
  libffi = shared "libffi" "libffi8" [ ];
  libgssapi = shared "libgssapi-krb5" "libgssapi-krb5-2" [ krb5support libcom_err libk5crypto libkrb5 ];
  libidn2 = shared "libidn2" "libidn2-0" [ libunistring ];
  libjq = shared "libjq" "libjq1" [ libonig ];
  libk5crypto = shared "libk5crypto" "libk5crypto3" [ krb5support ];
  libkrb5 = shared "libkrb5" "libkrb5-3" [ keyutils krb5support libcom_err libk5crypto ];
  libldap = shared "libldap" "libldap-2.5-0" [ gnutls libsasl2 ];
  libncursesw = shared "libncursesw" "libncursesw6" [ libtinfo ];
  libonig = shared "libonig" "libonig5" [ ];
  libpsl = shared "libpsl" "libpsl5" [ libidn2 libunistring ];
  librtmp = shared "librtmp" "librtmp1" [ gmp gnutls hogweed nettle zlib ];
  libsasl2 = shared "libsasl2" "libsasl2-2" [ ];
  libselinux = shared "libselinux" "libselinux1" [ pcre2 ];
  libssh2 = shared "libssh2" "libssh2-1" [ libssl zlib ];
  libssl = shared "libssl" "libssl3" [ ];
  libtasn1 = shared "libtasn1" "libtasn1-6" [ ];
  libtinfo = shared "libtinfo" "libtinfo6" [ ];
  libunistring = shared "libunistring" "libunistring2" [ ];
  nettle = shared "nettle" "libnettle8" [ ];
  nghttp2 = shared "nghttp2" "libnghttp2-14" [ ];
  p11-kit = shared "p11-kit" "libp11-kit0" [ libffi ];
  pcre2 = shared "pcre2" "libpcre2-8-0" [ ];
  zlib = shared "zlib" "zlib1g" [ ];
  zstd = shared "zstd" "libzstd1" [ ];
}
