# Data files that programs need, the same for every system.
{ data, ... }:
{
  cacert = data {
    name = "cacert";
    debian = [ "ca-certificates" ];
    # nixpkgs uses the first name; Debian's programs and libraries look for the second.
    script = ''
      mkdir -p $out/etc/ssl/certs
      cat /usr/share/ca-certificates/mozilla/*.crt >$out/etc/ssl/certs/ca-bundle.crt
      ln -s ca-bundle.crt $out/etc/ssl/certs/ca-certificates.crt
      exit 0
    '';
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

  terminfo = data {
    name = "terminfo";
    debian = [ "ncurses-base" ];
    script = ''
      mkdir -p $out/share
      cp -R /lib/terminfo $out/share/terminfo
      exit 0
    '';
  };
}
