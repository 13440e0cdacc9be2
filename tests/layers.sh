#!/usr/bin/env bash
# layers.sh TREE [BUILD]   do the includes of TREE go one way (DESIGN.md, 10)?
#                          does any object in BUILD keep mutable global state?
# layers.sh --prove        plant each violation in a tree and see it found.
set -u

# Directory, and what its files may include. An include line is taken without
# "#include". Everything that matches none of a directory's lines is refused.
rules() {
	cat <<'RULES'
protocol <(assert|ctype|errno|inttypes|limits|math|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string|strings)\.h>
protocol "[a-z_0-9]+\.(h|def)"
topology <(ev|hiredis/[a-z_]+|xxhash)\.h>
topology <((sys|netinet|arpa)/[a-z_]+|assert|ctype|errno|fcntl|inttypes|limits|math|netdb|pthread|signal|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string|strings|time|unistd)\.h>
topology "[a-z_0-9]+\.(h|def)"
topology "\.\./proxy/log\.h"
proxy <(ev|ini|jansson|microhttpd|xxhash)\.h>
proxy <((sys|netinet|arpa)/[a-z_]+|assert|ctype|errno|fcntl|getopt|inttypes|limits|malloc|math|netdb|poll|pthread|sched|signal|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string|strings|time|unistd)\.h>
proxy "[a-z_0-9]+\.(h|def)"
proxy "\.\./(protocol|topology)/[a-z_0-9]+\.(h|def)"
RULES
}

# Prints "file:line: include" of every include that no rule allows.
wrong_includes() {
	local tree=$1 layer allowed
	for layer in protocol topology proxy; do
		allowed=$(rules | sed -n "s/^$layer //p" | paste -sd'|')
		(cd "$tree" && grep -rnE --include='*.[ch]' --include='*.def' '^[[:space:]]*#[[:space:]]*include' "$layer") |
			grep -vE "#[[:space:]]*include[[:space:]]*($allowed)"
	done
}

# Prints "object: variable" of everything writable that lives as long as the
# process. The log level, and each thread's name in the log, are the only ones.
# (.data.rel.ro holds constants with addresses in them; sanitizers' own
# variables begin with two underscores.)
global_state() {
	local object
	for object in "$1"/protocol/*.o "$1"/topology/*.o "$1"/proxy/*.o; do
		[ -e "$object" ] || continue
		[ "${object##*/}" = log.o ] && continue
		objdump -t "$object" | awk -v object="$object" '
			/ O? *\.(data|bss|tdata|tbss|data\.rel|data\.rel\.local)(\.[a-z_A-Z0-9]+)?\t/ &&
			!/\.data\.rel\.ro/ && / O / && $NF !~ /^(__|_?\.L)/ { print object ": " $NF }'
	done
}

check() {
	local tree=$1 build=${2-} found
	found=$(
		wrong_includes "$tree" | sed 's/$/   <- runs against the layers/'
		[ -z "$build" ] || global_state "$build" | sed 's/$/   <- mutable global state/'
	)
	[ -z "$found" ] && return 0
	printf '%s\n' "$found"
	return 1
}

# Each line: a file, and an include that must not stand in it.
violations() {
	cat <<'LINES'
protocol/a.c <ev.h>
protocol/a.c <sys/socket.h>
protocol/a.h <hiredis/hiredis.h>
protocol/a.c "../proxy/log.h"
topology/a.c <microhttpd.h>
topology/a.c "../proxy/config.h"
topology/a.h "../protocol/resp.h"
proxy/a.c <hiredis/hiredis.h>
proxy/a.c <async.h>
proxy/a.h "../tests/unit/a.h"
LINES
}

prove() {
	local tree file include
	tree=$(mktemp -d)
	trap "rm -rf '$tree'" EXIT
	while read -r file include; do
		rm -rf "$tree"/*
		mkdir "$tree/protocol" "$tree/topology" "$tree/proxy"
		printf '#include <string.h>\n#include "b.h"\n' | tee "$tree"/{protocol,topology,proxy}/b.c >/dev/null
		check "$tree" || { echo "layers.sh: refuses what is allowed"; return 1; }
		printf '#include %s\n' "$include" >"$tree/$file"
		check "$tree" >/dev/null && { echo "layers.sh: does not see $include in $file"; return 1; }
	done < <(violations)
	printf 'static int counter;\nint next(void);\nint next(void) { return ++counter; }\n' >"$tree/proxy/a.c"
	"${CC:-gcc}" -c -o "$tree/proxy/a.o" "$tree/proxy/a.c" || return 1
	[ -n "$(global_state "$tree")" ] || { echo "layers.sh: does not see mutable global state"; return 1; }
}

if [ "${1-}" = --prove ]; then prove; else check "$@"; fi
