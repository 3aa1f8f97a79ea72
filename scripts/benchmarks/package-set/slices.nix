# Packages of given sizes that compress like programs: each is a slice of LLVM after a first line of its own.
{ data }:
let
  # bytes: size of the slice; from: its offset in LLVM; uses: packages that it refers to
  slice = { name, bytes, from ? 0, uses ? [ ] }: data {
    inherit name bytes from uses;
    debian = [ "libllvm14" ];
    script = ''
      llvm=$(cat $debian.list 2>/dev/null || cat $debian:$debianArchitecture.list)
      llvm=$(echo "$llvm" | grep '/libLLVM-.*\.so\.1$')
      mkdir -p $out/lib
      {
        echo $name
        tail -c +$((from + 1)) $llvm | head -c $bytes
      } >$out/lib/$name
      if [ -n "$uses" ]; then echo $uses >$out/uses; fi
      exit 0
    '';
  };

  # Makes a package that has only `count` dependencies.
  imageOf = name: count: dependency:
    slice { inherit name; bytes = 0; uses = builtins.genList dependency count; };

  # Makes a package of bytes that do not compress, the same in each build.
  noise = name: bytes: data {
    inherit name bytes;
    debian = [ "openssl" ];
    script = ''
      mkdir -p $out/share
      openssl enc -aes-128-ctr -nosalt -pbkdf2 -pass pass:$name -in /dev/zero 2>/dev/null |
        head -c $bytes >$out/share/$name
      exit 0
    '';
  };

  # 200 store paths of 65 kB, 13 MB in total. All refer to the first one, as to a libc, each refers to at most
  # two other earlier ones, and the last one refers to all. The graph is about seven levels deep.
  pathCount = 200;
  paths = builtins.genList
    (index: slice {
      name = if index == pathCount - 1 then "paths" else "path-${toString index}";
      bytes = 65000;
      from = index * 65000;
      uses = map (builtins.elemAt paths) (usedBy index);
    })
    pathCount;
  usedBy = index:
    if index == 0 then [ ]
    else if index == pathCount - 1 then builtins.genList (other: other) index
    else [ 0 (index / 2) (index / 3) ];
in
{
  # Image that warms up the service: 16 MB in two store paths.
  warm-up = imageOf "warm-up" 2 (part: slice {
    name = "warm-up-${toString part}";
    bytes = 8000000;
    from = 80000000 + part * 8000000;
  });

  paths = builtins.elemAt paths (pathCount - 1);

  # Each image is little more than one blob of the size.
  blob-70mb = noise "blob-70mb" 70000000;
  blob-128kb = noise "blob-128kb" 127000;
  blob-500b = noise "blob-500b" 200;
}
# Eight images of 20 MB that share nothing.
// builtins.listToAttrs (builtins.genList
  (image: rec {
    name = "image-${toString image}";
    value = imageOf name 4 (part: slice {
      name = "${name}-part-${toString part}";
      bytes = 5000000;
      from = (image * 4 + part) * 2500000;
    });
  })
  8)
# Two images of 1 GB, in ten store paths each, that share nothing.
// builtins.listToAttrs (map
  (letter: rec {
    name = "gigabyte-${letter}";
    value = imageOf name 10 (part: slice {
      name = "${name}-part-${toString part}";
      bytes = 100000000;
      from = part * 1000;
    });
  })
  [ "a" "b" ])
