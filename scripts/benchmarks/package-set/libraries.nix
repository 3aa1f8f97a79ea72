# 305 MB of shared libraries and tools in about 120 store paths with their real references: the host set and
# LLVM.
{ library, program, data, host }:
let
  others = rec {
    libxml2 = library {
      name = "libxml2";
      debian = "libxml2";
      uses = with host; [ glibc icu liblzma zlib ];
    };
    libz3 = library {
      name = "libz3";
      debian = "libz3-4";
      uses = with host; [ glibc libgcc libstdcxx ];
    };
    llvm = library {
      name = "llvm";
      debian = "libllvm14";
      uses = (with host; [ glibc libedit libffi libgcc libstdcxx libtinfo zlib ]) ++ [ libxml2 libz3 ];
    };
    # Copied unchanged, because it needs many libraries that are not packages here.
    nix = program {
      name = "nix";
      debian = [ "nix-bin" ];
      folders."lib/nix" = "lib";
      relink = false;
    };
  };

  # Makes an image of all libraries and of one file that differs between images.
  imageOf = name: data {
    inherit name;
    debian = [ "libllvm14" ];
    uses = builtins.attrValues (host // others);
    script = ''
      mkdir -p $out/share/$pname
      echo $uses >$out/share/$pname/uses
      exit 0
    '';
  };
in
{
  libraries = imageOf "libraries";
}
// builtins.listToAttrs (map
  (number: rec { name = "libraries-${toString number}"; value = imageOf name; })
  (builtins.genList (index: index + 1) 20))
