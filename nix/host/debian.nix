# Makes Nix packages from the Debian packages of this machine. `library`, `program` and `data` each make a
# derivation whose builder copies files of Debian packages into the store.
#
# A derivation contains the full versions of its Debian packages, so an upgrade changes it. Evaluation is
# lazy: a Debian package that is not installed fails only the Nix packages that need it.
{ system }:
let
  host = builtins.currentSystem;
  architectures = {
    x86_64-linux = { debian = "amd64"; triplet = "x86_64-linux-gnu"; };
    aarch64-linux = { debian = "arm64"; triplet = "aarch64-linux-gnu"; };
  };
  architecture = architectures.${host} or (throw "nix/host supports x86_64-linux and aarch64-linux, not ${host}");

  # Splitting the whole file once is faster than a search for each package. The result alternates between a
  # list with a package name and the lines that follow the name.
  halves = builtins.split "\n\nPackage: ([^\n]*)" ("\n\n" + builtins.readFile "/var/lib/dpkg/status");
  half = builtins.elemAt halves;
  # A package has one stanza for each architecture for which it is installed.
  stanzas = builtins.groupBy ({ name, ... }: name) (builtins.genList
    (index: { name = builtins.head (half (2 * index + 1)); lines = half (2 * index + 2); })
    (builtins.length halves / 2));
  field = name: { lines, ... }:
    let parts = builtins.split "\n${name}: ([^\n]*)" lines;
    in if builtins.length parts > 1 then builtins.head (builtins.elemAt parts 1) else "";
  isInstalled = stanza:
    field "Status" stanza == "install ok installed"
    && builtins.elem (field "Architecture" stanza) [ architecture.debian "all" ];

  installed = package: builtins.filter isInstalled (stanzas.${package} or [ ]);
  debianVersion = package:
    let found = installed package;
    in
    if found == [ ]
    then throw "the Debian package ${package} is not installed on this host: apt-get install ${package}"
    else field "Version" (builtins.head found);

  # 1:1.2.13.dfsg-1 -> 1.2.13, 1:9.2p1-2+deb12u7 -> 9.2p1
  upstreamVersion = version:
    builtins.elemAt (builtins.match "([0-9]+:)?([0-9]+(\\.[0-9]+([a-z][0-9]*)?)*).*" version) 1;

  fromDebian = { name, debian, besides ? [ ], environment ? { }, folders ? { }, meta ? { }, passthru ? { }, ... }@arguments:
    let
      present = builtins.filter (package: installed package != [ ]) besides;
      versions = map debianVersion (debian ++ present);
      version = upstreamVersion (builtins.head versions);
      lists = map (package: "/var/lib/dpkg/info/${package}");
      pairs = set: map (key: "${key}=${set.${key}}") (builtins.attrNames set);
    in
    derivation
      (removeAttrs arguments [ "meta" "passthru" ] // {
        inherit versions;
        inherit (architecture) triplet;
        name = "${name}-${version}";
        pname = name;
        system = host;
        builder = "/bin/sh";
        PATH = "/usr/bin:/bin";
        LC_ALL = "C";
        debian = lists debian;
        besides = lists present;
        debianArchitecture = architecture.debian;
        environment = pairs environment;
        folders = pairs folders;
      }) // {
      inherit version meta passthru;
      pname = name;
    };

  relinked = arguments:
    if system == host
    then fromDebian ({ args = [ ./build.sh ]; } // arguments)
    else throw "${arguments.name} is copied from this host, which is ${host}; there is none for ${system}";
in
{
  # Name of Debian's library folder, /usr/lib/<triplet>.
  inherit (architecture) triplet;

  # Makes a package of the shared libraries of one Debian package.
  #   uses     packages with the libraries that these need; a missing one fails the build
  #   relink   false copies the libraries unchanged           (default: true)
  library = { name, debian, uses ? [ ], ... }@arguments:
    relinked (arguments // { debian = [ debian ]; inherit uses; });

  # Makes a package of programs and the files they need.
  #   debian       Debian packages that have the programs     (default: the one with the same name)
  #   besides      Debian packages whose files are also copied, if they are installed
  #   programs     names of the programs                      (default: all of these packages)
  #   uses         packages with libraries and script interpreters; a missing one fails the build
  #   folders      more files to copy, as { SOURCE = TARGET; } (share/nano), the source without /usr
  #   without      shell patterns of paths in the output that are left out
  #   extra        shell commands that add to $out; they run before files are relinked or wrapped
  #   environment  variables that a wrapper script sets for the programs; this needs bash in `uses`.
  #                A value has no spaces and may use other variables; @out@ is the output's path
  program = { name, debian ? [ name ], uses ? [ ], ... }@arguments:
    relinked (arguments // { inherit debian uses; });

  # Makes a package of data, the same for every system. script: shell commands that fill $out.
  data = { script, ... }@arguments:
    fromDebian ({ args = [ "-euc" script ]; } // removeAttrs arguments [ "script" ]);
}
