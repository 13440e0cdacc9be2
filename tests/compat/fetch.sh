#!/usr/bin/env bash
# fetch.sh DIRECTORY
# Puts the test suite of the installed redis-server's version into
# DIRECTORY/suite, out of Debian's source package. apt works in a private
# directory with this machine's own sources, keys and proxies: the system's
# package lists are not touched, and no privileges are needed. Silent, and
# without network, when the suite of that version is there already.
set -eu

mkdir -p "$1"
into=$(cd "$1" && pwd)
exec 9>"$into/lock"
flock 9
version=$(dpkg-query -W -f '${source:Version}' redis-server)

[ "$(cat "$into/suite/version" 2>/dev/null)" != "$version" ] || exit 0

work=$(mktemp -d "$into/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# This machine's sources, asked for source packages instead of binary ones.
private_sources() {
	local parts=$1 file
	for file in /etc/apt/sources.list.d/*.sources; do
		[ ! -e "$file" ] || sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$parts/${file##*/}"
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -e "$file" ] || sed -nE 's/^deb(-src)?[[:space:]]/deb-src /p' "$file" | sort -u >"$parts/of-${file##*/}"
	done
}

fetch() {
	local apt
	mkdir -p sources state/lists/partial cache/archives/partial
	private_sources sources
	apt=(apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$PWD/sources"
		-o Dir::State="$PWD/state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$PWD/cache"
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 -o Acquire::Languages=none)
	"${apt[@]}" update || true     # one of many sources may be out of reach
	"${apt[@]}" --download-only source "redis=$version"
}

# The suite as Redis released it: the tests that Debian's security patches add
# have not all been seen to pass on the patched server itself.
unpack() {
	mkdir suite
	tar -xf redis_*.orig.tar.* -C suite --strip-components=1 --wildcards '*/tests' '*/runtest'
	echo "$version" >suite/version
}

echo "fetching the test suite of redis $version"
cd "$work"
fetch >log 2>&1 || { cat log >&2; exit 1; }
unpack
rm -rf "$into/suite"
mv suite "$into/suite"
