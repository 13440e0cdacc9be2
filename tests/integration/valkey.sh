#!/usr/bin/env bash
# valkey.sh DIRECTORY
# Prints the path of a valkey-server: the installed one, or one that is unpacked
# from its package into DIRECTORY and never installed. Without network when that
# was done before. Fails, with the reason, where it cannot be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/private-apt.sh
. "$here/../private-apt.sh"

command -v valkey-server && exit 0

mkdir -p "$1"
into=$(cd "$1" && pwd)
exec 9>"$into/lock"
flock 9
program=$into/valkey/usr/bin/valkey-server

# Debian 12 has it among its backports, later ones have it themselves.
fetch() {
	local suite
	for suite in "$(private_apt_codename)-backports" "$(private_apt_codename)"; do
		rm -rf sources state cache
		private_apt_begin deb "$suite"
		! private_apt download valkey-server valkey-tools || return 0
	done
	return 1
}

unpack() {
	local package
	for package in *.deb; do
		dpkg-deb -x "$package" valkey
	done
	valkey/usr/bin/valkey-server --version
}

if [ ! -x "$program" ]; then
	work=$(mktemp -d "$into/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM HUP
	cd "$work"
	{ fetch && unpack; } >log 2>&1 || { tail -n 5 log >&2; exit 1; }
	rm -rf "$into/valkey"
	mv valkey "$into/valkey"
fi
echo "$program"
