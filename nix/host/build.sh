# Builds a store path from files that Debian packages installed on this host. Copies programs and libraries,
# and sets their interpreter and library search path to store paths. So Nix finds exact references, and the
# programs run where there is no /usr.
#
# Input, as debian.nix describes it: out pname debian besides debianArchitecture triplet uses programs folders
# without relink environment extra. Lists are separated by spaces.
# shellcheck disable=SC2154 # Nix assigns them
set -euf

fail() {
  printf '%s: %s\n' "$pname" "$1" >&2
  exit 1
}

# Prints the paths of the Debian packages' files, one a line.
debian_files() {
  for package in $debian $besides; do
    cat "$package.list" 2>/dev/null || cat "$package:$debianArchitecture.list"
  done
}

# Sets target to the path, relative to $out, that a path of the host is copied to; to nothing if it is not
# copied. /bin and /usr/bin are the same folder on Debian, and packages use both names.
place() {
  path=${1#/usr}
  path=${path#/}
  target=
  case $path in
    lib/"$triplet"/*/*) ;;
    lib/"$triplet"/*.so | lib/"$triplet"/*.so.*) target=lib/${path##*/} ;;
    bin/* | sbin/*)
      case " ${programs-${path##*/}} " in
        *" ${path##*/} "*) target=bin/${path##*/} ;;
      esac
      ;;
  esac
  for folder in $folders; do
    case $path in
      "${folder%%=*}" | "${folder%%=*}"/*) target=${folder#*=}${path#"${folder%%=*}"} ;;
    esac
  done
  for pattern in ${without-}; do
    # shellcheck disable=SC2254 # it is a pattern
    case $target in $pattern) target= ;; esac
  done
}

# Prints a file of $out with the same content. Some packages install one program under several names, as
# copies or hard links; one copy is enough.
same_file() {
  find "$out" -type f -size "$(stat -c %s "$1")c" | while IFS= read -r other; do
    if cmp -s "$1" "$other"; then
      printf %s "$other"
      break
    fi
  done
}

# Copies file $1 of the host to $2. Uses shell builtins where possible, because a process for each step takes
# long for a thousand files.
copy() {
  # Some programs are in /bin and in /sbin.
  if [ -e "$out/$2" ]; then return; fi
  folder=$out/${2%/*}
  if [ ! -d "$folder" ]; then mkdir -p "$folder"; fi
  if [ -L "$1" ]; then
    place "$(readlink -f "$1")"
    if [ -n "$target" ] && [ "$target" != "$2" ]; then
      ln -sr "$out/$target" "$out/$2"
      return
    fi
  fi
  twin=
  if [ -x "$1" ]; then twin=$(same_file "$1"); fi
  if [ -n "$twin" ]; then
    ln -sr "$twin" "$out/$2"
  else
    cp -L "$1" "$out/$2"
  fi
}

used_names() {
  for package in $uses; do printf '%s ' "${package#/nix/store/*-}"; done
}

# Prints the folder that has the library with soname $1, for file $2: in the package itself, or in a package
# that it uses.
folder_of() {
  own=$(find "$out" -name "$1" | head -n 1)
  if [ -n "$own" ]; then
    dirname "$own"
    return
  fi
  for package in $uses; do
    if [ -e "$package/lib/$1" ]; then
      printf %s "$package/lib"
      return
    fi
  done
  fail "$2 needs $1, which none of the packages in \`uses\` has: $(used_names)"
}

# Sets the interpreter and the library search path of an ELF file.
relink() {
  search=
  for soname in $(patchelf --print-needed "$1"); do
    folder=$(folder_of "$soname" "$1")
    case ":$search:" in
      *":$folder:"*) ;;
      *) search=${search:+$search:}$folder ;;
    esac
  done
  # A statically linked program has neither.
  if [ -z "$search" ]; then return; fi
  if interpreter=$(patchelf --print-interpreter "$1" 2>/dev/null); then
    interpreter=${interpreter##*/}
    folder=$(folder_of "$interpreter" "$1")
    patchelf --set-interpreter "$folder/$interpreter" --set-rpath "$search" "$1"
  else
    patchelf --set-rpath "$search" "$1"
  fi
}

# Rewrites the first line of a script: #!/bin/sh or #!/usr/bin/env sh -> #!/nix/store/…/bin/sh
rewrite_interpreter() {
  IFS= read -r line <"$1"
  # shellcheck disable=SC2086 # the words of the line
  set -- "$1" ${line#'#!'}
  script=$1
  shift
  if [ "${1##*/}" = env ]; then shift; fi
  interpreter=${1##*/}
  shift
  for package in $out $uses; do
    if [ -x "$package/bin/$interpreter" ]; then
      sed -i "1s|.*|#!$package/bin/$interpreter${*:+ $*}|" "$script"
      return
    fi
  done
  fail "$script needs $interpreter, which none of the packages in \`uses\` has: $(used_names)"
}

# Replaces program file $1, whose links lead to $2, by a script that sets the environment and runs the
# program. So programs that look for their files in fixed places of the host find them in the store.
wrap() {
  program=$2
  case $program in
    "$out"/bin/*)
      program=$out/libexec/wrapped/${program##*/}
      if [ ! -e "$program" ]; then
        mkdir -p "$out/libexec/wrapped"
        mv "$2" "$program"
      fi
      ;;
  esac
  for package in $uses; do
    if [ -x "$package/bin/bash" ]; then shell=$package/bin/bash; fi
  done
  rm -f "$1"
  {
    printf '#!%s\n' "${shell?"$pname sets an environment, which needs bash in \`uses\`"}"
    for variable in $environment; do printf 'export %s\n' "$variable" | sed "s|@out@|$out|g"; done
    # Some programs behave according to the name under which they are started.
    # shellcheck disable=SC2016 # expanded by the written script
    printf 'exec -a "$0" %s "$@"\n' "$program"
  } >"$1"
  chmod 755 "$1"
}

# The reverse order makes `libexec/git-core/git` the file and `bin/git` the link to it.
tab=$(printf '\t')
debian_files | while IFS= read -r file; do
  if [ -d "$file" ] && [ ! -L "$file" ]; then continue; fi
  place "$file"
  if [ -n "$target" ]; then printf '%s\t%s\n' "$target" "$file"; fi
done | sort -ur | while IFS=$tab read -r target file; do
  copy "$file" "$target"
done
[ -d "$out" ] || fail "the Debian packages have none of these programs (${programs-any}) and no libraries"
chmod -R u+w "$out"

set +f
eval "${extra-}"
set -f

for program in ${programs-}; do
  [ -e "$out/bin/$program" ] || fail "the Debian packages have no program $program"
done

dangling=$(find "$out" -xtype l)
[ -z "$dangling" ] || fail "these links lead to files of Debian packages that are not in \`debian\`: $dangling"

if [ "${relink-1}" = 1 ]; then
  # Debian's libraries are not executable.
  find "$out" -type f \( -perm -u+x -o -name '*.so' -o -name '*.so.*' \) | while IFS= read -r file; do
    case $(head -c 4 "$file" | tr -d '\0') in
      "$(printf '\177ELF')") relink "$file" ;;
      '#!'*) if [ -x "$file" ]; then rewrite_interpreter "$file"; fi ;;
    esac
  done
fi

if [ -n "$environment" ]; then
  # Resolve all links before `wrap` replaces the first of them by a script.
  programs=$(find "$out/bin" -type f -o -type l | while IFS= read -r file; do
    printf '%s\t%s\n' "$file" "$(readlink -f "$file")"
  done)
  printf '%s\n' "$programs" | while IFS=$tab read -r file program; do wrap "$file" "$program"; done
fi

# Nix 2.8 sometimes kills a builder whose last command runs another program.
exit 0
