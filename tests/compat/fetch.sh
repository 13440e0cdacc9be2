#!/usr/bin/env bash
# fetch.sh DIRECTORY
# Puts the test suite of the installed redis-server's version, and the header
# for its modules, into DIRECTORY/suite, out of Debian's source package. Silent,
# and without network, when those of that version are there already.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/private-apt.sh
. "$here/../private-apt.sh"

mkdir -p "$1"
into=$(cd "$1" && pwd)
exec 9>"$into/lock"
flock 9
version=$(dpkg-query -W -f '${source:Version}' redis-server)

[ "$(cat "$into/suite/version" 2>/dev/null)" != "$version" ] || [ ! -e "$into/suite/src/redismodule.h" ] || exit 0

work=$(mktemp -d "$into/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

fetch() {
	private_apt_begin deb-src
	private_apt --download-only source "redis=$version"
}

# The suite as Redis released it: the tests that Debian's security patches add
# have not all been seen to pass on the patched server itself.
unpack() {
	mkdir suite
	tar -xf redis_*.orig.tar.* -C suite --strip-components=1 --wildcards '*/tests' '*/runtest' \
		'*/src/redismodule.h'
	echo "$version" >suite/version
}

echo "fetching the test suite of redis $version"
cd "$work"
fetch >log 2>&1 || { cat log >&2; exit 1; }
unpack
rm -rf "$into/suite"
mv suite "$into/suite"
