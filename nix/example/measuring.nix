# Large packages for benchmarks.
{ package, data }:
{
  # 300 MB in large files that compress like programs: copies of the files of some Debian packages. The
  # content depends only on the versions of these packages.
  big = data {
    name = "big";
    debian = [
      "libicu72" "libc6" "libgnutls30" "libmagic-mgc" "libpython3.11-minimal" "libpython3.11-stdlib"
      "libsqlite3-0" "libssl3" "libstdc++6" "perl-base" "python3.11-minimal" "redis-tools" "ripgrep"
    ];
    script = ''
      mkdir -p $out/share/big
      cd $out/share/big
      files=$(for package in $debian; do
        cat $package.list 2>/dev/null || cat $package:$debianArchitecture.list
      done | while read -r file; do
        if [ -f "$file" ] && [ ! -L "$file" ]; then echo "$file"; fi
      done)
      files=$(find $files -size +30k | sort)
      total=0
      for round in 1 2 3 4 5 6 7 8 9; do
        for file in $files; do
          cp "$file" $round-$(echo $file | tr / _)
          total=$((total + $(stat -c %s "$file")))
          if [ $total -gt 300000000 ]; then exit 0; fi
        done
      done
      echo "these Debian packages have too few large files" >&2
      exit 1
    '';
  };

  # 20,000 files of 1 to 7 kB, 80 MB in all, in 200 folders.
  many-files = package {
    name = "many-files-1";
    script = ''
      mkdir -p $out/share/many-files
      cd $out/share/many-files
      mkdir $(seq 0 199)
      awk 'BEGIN {
        for (words = ""; length(words) < 65536; words = words sprintf("%x ", state % 46337)) {
          state = (state * 16807 + 11) % 2147483647
        }
        for (file = 0; file < 20000; file++) {
          state = (state * 16807 + 11) % 2147483647
          name = file % 200 "/" file
          printf "%d %s\n", state, substr(words, 1 + state % 57344, 1000 + state % 6001) >name
          close(name)
        }
      }'
    '';
  };
}
