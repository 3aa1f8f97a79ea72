# Packages whose contents are unusual but right.
{ package, builders }:
{
  # About 300 MB, for measuring.
  big = package {
    name = "big-1";
    PATH = "${builders.coreutils}/bin:${builders.busybox}/bin";
    script = ''
      mkdir -p $out/share/big
      total=0
      find /usr/lib /usr/bin -type f -size +100k | sort | while read -r file; do
        total=$((total + $(stat -c %s "$file")))
        cp "$file" "$out/share/big/$(echo "$file" | tr / _)"
        if [ $total -gt 300000000 ]; then break; fi
      done
    '';
  };

  # The output is a file, not a folder.
  notice = package {
    name = "notice-1.txt";
    script = ''echo "Copyright Example Company" >$out'';
  };

  oddFiles = package {
    name = "odd-files-1";
    script = ''
      mkdir -p $out/bin $out/share/odd
      cd $out/share/odd

      printf 'not UTF-8\n' >"$(printf 'caf\351')"
      printf 'UTF-8\n' >"$(printf 'caf\303\251')"
      printf 'spaces\n' >' two  spaces '
      : >empty-file
      mkdir empty-folder

      printf 'one file, two names\n' >hard-link-a
      ln hard-link-a hard-link-b
      ln -s hard-link-a symlink
      ln -s missing dangling-symlink
      ln -s $out/share/odd absolute-symlink

      word=abcdefghijklmnopqrstuvwxyz
      deep=$word-$word-$word-$word
      mkdir -p $deep/$deep/$deep
      echo 'more than 100 bytes' >$deep/file
      echo 'more than 255 bytes' >$deep/$deep/$deep/file
      ln -s $deep/$deep/$deep/file symlink-to-far-away

      printf '#!/bin/sh\necho odd\n' >$out/bin/odd
      chmod 755 $out/bin/odd
    '';
  };
}
