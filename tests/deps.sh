#!/usr/bin/env bash
# deps.sh [run]
# Installs the Debian packages that building, running and testing weir need
# (`run`: without what only the tests need), as root or through sudo. It asks for the things themselves (a command, a
# header, a Python module), so it is silent, and needs no privileges, where
# they are there already, however they came. What only the tests need and what
# nobody wants on his system, a service or a Node.js library, goes below build/.
set -u

python=${PYTHON:-/usr/bin/python3}
script=$(realpath "$0")
top=$(dirname "$(dirname "$script")")
unpacked=$top/build/packages     # Debian packages that are not installed
# Packages of npm: the directory that names them in its package-lock.json, and where they are put.
page=$top/proxy/admin/page
page_libraries=$top/build/uplot
tested=$top/tests/libraries
tested_libraries=$top/build/node
lock_seconds=300     # how long another apt may hold its locks

have_command() { command -v "$1" >/dev/null; }
have_header()  { echo "#include <$1>" | gcc -E -x c - >/dev/null 2>&1; }
have_library() { pkg-config --exists "$1" 2>/dev/null; }
have_module()  { "$python" -c "import sys, importlib.util as u; sys.exit(not u.find_spec(\"$1\"))" 2>/dev/null; }
have_runtime() { compgen -G "$(clang --print-runtime-dir 2>/dev/null)/libclang_rt.$1*" >/dev/null; }

# Package, what it is asked for, and what it is needed for.
needed_to_run() {
	cat <<'TABLE'
gcc                command gcc             compiler
libc6-dev          header  stdlib.h        C library
binutils           command objdump         archives, and the layer check
pkg-config         command pkg-config      finds libraries
libev-dev          header  ev.h            event loop
libhiredis-dev     library hiredis         RESP on control connections
libinih-dev        library inih            proxy.ini
libmicrohttpd-dev  library libmicrohttpd   HTTP admin endpoint
libjansson-dev     library jansson         JSON
libxxhash-dev      library libxxhash       hashing
redis-server       command redis-server    what weir stands in front of
redis-tools        command redis-cli       console, redis-benchmark
curl               command curl            the demo's second example
python3            command /usr/bin/python3 follows the demo
gzip               command gzip            packs the page
npm                command npm             fetches its chart library
TABLE
}

needed_to_test() {
	cat <<'TABLE'
libcmocka-dev      library cmocka          unit tests
clang              command clang           second compiler, fuzzing
libclang-rt-dev    runtime fuzzer          libFuzzer and sanitizers for clang
tcl                command tclsh8.6        Redis' own test suite
python3-pytest     module  pytest          their runner
python3-pytest-xdist module xdist          several of them at a time
python3-redis      module  redis           a client library
python3-hypothesis module  hypothesis      generated test cases
groff-base         command groff           reads the manuals
systemd            command systemd-analyze judges the unit
python3-yaml       module  yaml            reads the container files
nodejs             command node            runs client libraries of its own
cppcheck           command cppcheck        one of the analyzers of make lint
valgrind           command valgrind        memory checks of the ordinary build
chromium-driver    command chromedriver    looks at the page
python3-selenium   module  selenium        tells it where to look
TABLE
}

# Package, and the command in it: for tests. Installed, each would start a service.
needed_unpacked() {
	cat <<'TABLE'
prometheus-redis-exporter usr/bin/prometheus-redis-exporter
prometheus usr/bin/promtool
TABLE
}

missing_of() {
	local package kind thing _
	while read -r package kind thing _; do
		"have_$kind" "$thing" || echo "$package"
	done
}

missing_to_run()  { needed_to_run | missing_of; }
missing_to_both() { { needed_to_run; needed_to_test; } | missing_of; }

missing_unpacked() {
	local package command
	while read -r package command; do
		have_command "${command##*/}" || [ -x "$unpacked/$command" ] || echo "$package"
	done < <(needed_unpacked)
}

# The lock file is copied before, and npm writes its own last: both are there
# only when it has finished.
has_npm_packages() {
	cmp -s "$1/package-lock.json" "$2/package-lock.json" && [ -e "$2/node_modules/.package-lock.json" ]
}

missing_page_libraries()   { has_npm_packages "$page" "$page_libraries" || echo "the page's chart library"; }
missing_tested_libraries() { has_npm_packages "$tested" "$tested_libraries" || echo "Node.js libraries"; }

# apt, without questions and without starting what it installs: in a container
# or a chroot as on a host, a redis-server of the distribution would take port
# 6379. An administrator's own policy-rc.d is left alone.
install_packages() {
	local policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		# shellcheck disable=SC2064
		trap "rm -f $policy" EXIT
		trap 'exit 130' INT TERM HUP
		printf '#!/bin/sh\n# Temporary: packages are being installed for weir.\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
	with_lists_lock apt-get -q update &&
		apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=$lock_seconds \
			-o Acquire::Retries=3 install "$@"
}

# `apt-get update` does not wait for the lock of the package lists by itself.
with_lists_lock() {
	local deadline=$((SECONDS + lock_seconds)) output
	while ! output=$(LC_ALL=C "$@" -o Acquire::Retries=3 2>&1); do
		case $output in
		*"Could not get lock"*) ;;
		*) printf '%s\n' "$output" >&2; return 1 ;;
		esac
		if [ $SECONDS -ge $deadline ]; then
			printf '%s\n' "$output" >&2
			return 1
		fi
		sleep 2
	done
}

# Downloads them with apt, which checks them, and lays their files out below
# build/. Only the lists of packages, where there are none yet, need root.
unpack_packages() {
	local directory status
	require_apt
	directory=$(mktemp -d)
	(cd "$directory" && { download "$@" 2>/dev/null || { as_root --update && download "$@"; }; }) &&
		mkdir -p "$unpacked" &&
		find "$directory" -name '*.deb' -exec dpkg-deb -x {} "$unpacked" \;
	status=$?
	rm -rf "$directory"
	return $status
}

download() {
	apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$@"
}

# Exactly the versions of the lock file, checked against its sums. No script of
# a package runs.
fetch_npm_packages() {
	mkdir -p "$2" && cp "$1/package.json" "$1/package-lock.json" "$2" &&
		npm ci --prefix "$2" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
}

fetch_page_libraries()   { fetch_npm_packages "$page" "$page_libraries"; }
fetch_tested_libraries() { fetch_npm_packages "$tested" "$tested_libraries"; }

fail() {
	echo "make deps: $*" >&2
	exit 1
}

require_apt() {
	have_command apt-get || fail "this is not a Debian system; install these, or what they are called here"
}

# What is done, the function that names what is missing, and the one that gets it.
get() {
	local what=$1 missing=$2 way=$3 names
	mapfile -t names < <("$missing")
	[ ${#names[@]} -eq 0 ] && return
	echo "make deps: $what ${names[*]}"
	"$way" "${names[@]}" || fail "$what ${names[*]} failed"
	mapfile -t names < <("$missing")
	[ ${#names[@]} -eq 0 ] || fail "still missing: ${names[*]}"
}

# This script again, with what root alone may do.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		bash "$script" "$@"
	elif have_command sudo; then
		sudo bash "$script" "$@"
	else
		fail "needs root: run it as root, or install sudo"
	fi
}

install_as_root() {
	require_apt
	as_root --install "$@"
}

case ${1-} in
--install) shift; install_packages "$@" ;;
--update)  with_lists_lock apt-get -q update ;;
run)
	get installing missing_to_run install_as_root
	(get fetching missing_page_libraries fetch_page_libraries) || echo "make deps: weir's page will have no charts" >&2
	;;
*)
	get installing missing_to_both install_as_root
	get unpacking missing_unpacked unpack_packages
	get fetching missing_page_libraries fetch_page_libraries
	get fetching missing_tested_libraries fetch_tested_libraries
	;;
esac
