#!/usr/bin/env bash
# deps.sh
# Installs the Debian packages that building, running and testing weir need,
# as root or through sudo. It asks for the things themselves (a command, a
# header, a Python module), so it is silent, and needs no privileges, where
# they are there already, however they came.
set -u

python=${PYTHON:-/usr/bin/python3}
lock_seconds=300     # how long another apt may hold its locks

have_command() { command -v "$1" >/dev/null; }
have_header()  { echo "#include <$1>" | gcc -E -x c - >/dev/null 2>&1; }
have_library() { pkg-config --exists "$1" 2>/dev/null; }
have_module()  { "$python" -c "import sys, importlib.util as u; sys.exit(not u.find_spec(\"$1\"))" 2>/dev/null; }
have_runtime() { compgen -G "$(clang --print-runtime-dir 2>/dev/null)/libclang_rt.$1*" >/dev/null; }

# Package, what it is asked for, and what it is needed for.
needed() {
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
libcmocka-dev      library cmocka          unit tests
clang              command clang           second compiler, fuzzing
libclang-rt-dev    runtime fuzzer          libFuzzer and sanitizers for clang
tcl                command tclsh8.6        Redis' own test suite
python3            command /usr/bin/python3 integration tests, bench
python3-pytest     module  pytest          their runner
python3-redis      module  redis           a client library
python3-hypothesis module  hypothesis      generated test cases
TABLE
}

missing_packages() {
	local package kind thing _
	while read -r package kind thing _; do
		"have_$kind" "$thing" || echo "$package"
	done < <(needed)
}

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

fail() {
	echo "make deps: $*" >&2
	exit 1
}

if [ "${1-}" = --install ]; then
	shift
	install_packages "$@"
	exit
fi

mapfile -t missing < <(missing_packages)
[ ${#missing[@]} -eq 0 ] && exit 0

echo "make deps: installing ${missing[*]}"
have_command apt-get || fail "this is not a Debian system; install these, or what they are called here"
if [ "$(id -u)" -eq 0 ]; then
	as_root=(bash)
elif have_command sudo; then
	as_root=(sudo bash)
else
	fail "needs root: run it as root, or install sudo"
fi
"${as_root[@]}" "$0" --install "${missing[@]}" || fail "apt-get failed"

mapfile -t missing < <(missing_packages)
[ ${#missing[@]} -eq 0 ] || fail "still missing after installing: ${missing[*]}"
