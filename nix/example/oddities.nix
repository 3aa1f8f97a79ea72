# Packages with unusual but valid contents.
{ package }:
{
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
