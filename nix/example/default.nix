# Example of a company's private package set: the programs of the host set, the company's own programs, and
# packages that fail or are unusual, for tests.
{ system ? builtins.currentSystem, host ? import ./host { inherit system; } }:
let
  builders = if system == builtins.currentSystem then host else import ./host { };
  package = import ./package.nix { inherit (builders) busybox; };
in
host
// import ./failures.nix { inherit package; }
// import ./measuring.nix { inherit package; inherit (import ./host/debian.nix { inherit system; }) data; }
// import ./oddities.nix { inherit package; }
// rec {
  api = import ./api { inherit package; inherit (host) python3; };

  custom-service = import ./custom-service { inherit package; inherit (host) busybox; };

  # Sets more fields of the image config than the command.
  dashboard = package {
    name = "dashboard-2.3";
    script = ''
      mkdir -p $out/bin
      {
        echo "#!${host.busybox}/bin/sh"
        echo "exec ${host.busybox}/bin/busybox httpd -f -p 8080 -h ${static-site}/share/www"
      } >$out/bin/dashboard
      chmod 755 $out/bin/dashboard
    '';
    meta.mainProgram = "dashboard";
    passthru.imageConfig = {
      Env = [ "DASHBOARD_THEME=dark" ];
      ExposedPorts."8080/tcp" = { };
      Labels."com.example.team" = "web";
      User = "65534:65534";
      WorkingDir = "/tmp";
    };
  };

  static-site = import ./static-site { inherit package; };

  # Requested as `sometool`.
  someTool = package {
    name = "some-tool-0.1";
    script = ''
      mkdir -p $out/bin
      printf '#!%s\necho "some tool"\n' ${host.bashInteractive}/bin/sh >$out/bin/some-tool
      chmod 755 $out/bin/some-tool
    '';
    meta.mainProgram = "some-tool";
  };

  # Requested as `7ziplike`; a Nix identifier cannot start with a digit.
  _7zipLike = package {
    name = "7zip-like-23.01";
    script = ''
      mkdir -p $out/bin
      printf '#!%s\necho "7-Zip, nearly"\n' ${host.busybox}/bin/sh >$out/bin/7z
      chmod 755 $out/bin/7z
    '';
    meta.mainProgram = "7z";
  };

  tools.greeter = package {
    name = "greeter-1.1";
    script = ''
      mkdir -p $out/bin
      printf '#!%s\nexec %s --greeting "Hello from the tools"\n' \
        ${host.busybox}/bin/sh ${host.hello}/bin/hello >$out/bin/greeter
      chmod 755 $out/bin/greeter
    '';
    meta.mainProgram = "greeter";
  };

  # Requested as `python3packages.requests`.
  python3Packages.requests = package {
    name = "python3-requests-2.31";
    script = ''
      mkdir -p $out/lib/python3/site-packages/requests
      echo '__version__ = "2.31"' >$out/lib/python3/site-packages/requests/__init__.py
    '';
  };

  # Both packages have etc/motd. The image gets the file of the package with the lower priority number.
  motd = package {
    name = "motd-1";
    script = ''mkdir -p $out/etc; echo "Welcome." >$out/etc/motd; echo 1 >$out/etc/motd-version'';
    meta.priority = 10;
  };
  motdMaintenance = package {
    name = "motd-maintenance-1";
    script = ''mkdir -p $out/etc; echo "Down for maintenance at noon." >$out/etc/motd'';
    meta.priority = 1;
  };

  web = import ./web { inherit package; inherit (host) nginx; shell = host.bashInteractive; site = static-site; };

  worker = import ./worker { inherit package; inherit (host) nodejs; };
}
