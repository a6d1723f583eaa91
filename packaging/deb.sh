#!/usr/bin/env bash
# Builds Debian packages from the files that git knows: deb.sh FOLDER (./dev deb).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for tool in dpkg-buildpackage dh; do
    command -v "$tool" >/dev/null || { echo "deb: $tool is not installed" >&2; exit 1; }
done
version=$(sed -n "s/.*[( ,]version: '\([0-9.]*\)'.*/\1/p" meson.build | head -n 1)
folder=$1 tree=$1/fief-$version
# The same day for the same sources.
SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^ -- .*>  //p' packaging/debian/changelog | head -n 1)" +%s)
export SOURCE_DATE_EPOCH
rm -rf "$folder"
mkdir -p "$tree"
git ls-files -z | grep -zv -e '^packaging/debian/' -e '^corpus/' | tar --null -T - -cf - | tar -xf - -C "$tree"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --mode=go=rX,u+rw -C "$folder" -cJf "$folder/fief_$version.orig.tar.xz" "fief-$version"
cp -r packaging/debian "$tree/debian"
echo "deb: building in $tree" >&2
(cd "$tree" && dpkg-buildpackage -us -uc) >"$folder/log" 2>&1 || { tail -n 40 "$folder/log" >&2; exit 1; }
# A skeleton has no maintainer with an address, and closes no bug: whoever uploads it says those.
unsaid=bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs
! command -v lintian >/dev/null ||
    lintian --profile debian --allow-root --suppress-tags "$unsaid" --fail-on error,warning "$folder"/*.changes
ls "$folder"/*.deb
