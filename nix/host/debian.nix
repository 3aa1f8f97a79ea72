# Packages from what Debian installed on this machine: `library`, `program` and `data` each make a
# derivation whose builder copies files of Debian packages into the store.
#
# A derivation names the Debian packages with their full versions, so it changes when one is upgraded.
# All of it is lazy: a package that is not installed is an error for who asks for it, for nobody else.
{ system }:
let
  host = builtins.currentSystem;
  architectures = {
    x86_64-linux = { debian = "amd64"; triplet = "x86_64-linux-gnu"; };
    aarch64-linux = { debian = "arm64"; triplet = "aarch64-linux-gnu"; };
  };
  architecture = architectures.${host} or (throw "Debian's packages are not known for the system ${host}");

  # One split of the whole file, shared by all packages, is quicker than a search for each of them. It
  # gives, in turn, a name in a list and the lines that follow it.
  halves = builtins.split "\n\nPackage: ([^\n]*)" ("\n\n" + builtins.readFile "/var/lib/dpkg/status");
  half = builtins.elemAt halves;
  # A name has one stanza for each architecture that it is installed for.
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
    else throw "${arguments.name} is a program of this ${host} host, there is none for ${system}";
in
{
  # As in Debian's /usr/lib/<triplet>.
  inherit (architecture) triplet;

  # The shared libraries of one Debian package.
  #   uses     the libraries that those are linked to; what is missing fails the build
  #   relink   false leaves them exactly as they are          (default: true)
  library = { name, debian, uses ? [ ], ... }@arguments:
    relinked (arguments // { debian = [ debian ]; inherit uses; });

  # Programs with what belongs to them:
  #   debian       the Debian packages they are in            (default: the one of that name)
  #   besides      Debian packages whose files are taken too, of those that are installed
  #   programs     names of the programs                      (default: all of these packages)
  #   uses         libraries and script interpreters; what is missing fails the build
  #   folders      more to take along, { "share/nano" = "share/nano"; }, left without /usr
  #   without      shell patterns of paths (in the output) that are not taken along
  #   extra        shell commands that add to $out, run before anything is relinked or wrapped
  #   environment  variables to set for the programs, by a wrapper script that takes bash among `uses`;
  #                a value has no spaces, may use other variables, and @out@ is the output's path
  program = { name, debian ? [ name ], uses ? [ ], ... }@arguments:
    relinked (arguments // { inherit debian uses; });

  # Files that run on no processor, the same for every system. script: shell commands that fill $out.
  data = { script, ... }@arguments:
    fromDebian ({ args = [ "-euc" script ]; } // removeAttrs arguments [ "script" ]);
}
