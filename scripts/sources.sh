#!/bin/sh
# scripts/sources.sh - lists C sources for meson, one a line, relative to the folder.
#   sources.sh lib src            every .c below src except main.c
#   sources.sh programs FOLDER    files of FOLDER (not below it) that define main
#   sources.sh helpers FOLDER     the other .c files of FOLDER
set -eu
what=$1
folder=$2
[ -d "$folder" ] || exit 0
cd "$folder"

defines_main() { grep -qE '^int main\(' "$1"; }

case $what in
lib)
    find . -name '*.c' ! -path ./main.c | sed 's|^\./||' | LC_ALL=C sort
    ;;
programs | helpers)
    for f in *.c; do
        [ -f "$f" ] || continue
        if defines_main "$f"; then is=programs; else is=helpers; fi
        if [ "$is" = "$what" ]; then echo "$f"; fi
    done
    ;;
*)
    echo "sources.sh: unknown list '$what'" >&2
    exit 2
    ;;
esac
