# private-apt.sh, to be sourced
# apt in the present directory, with this machine's own mirrors, keys and
# proxies: the system's package lists are not touched, nothing is installed, and
# no privileges are needed.
#
#   private_apt_begin TYPE [SUITE]   TYPE is deb or deb-src. SUITE: of the
#                                    distribution's own archive that suite alone.
#   private_apt WORDS...             apt-get

private_apt_begin() {
	local file
	mkdir -p sources state/lists/partial cache/archives/partial
	for file in /etc/apt/sources.list.d/*.sources; do
		[ ! -e "$file" ] || private_apt_stanzas "$1" "${2-}" <"$file" >"sources/${file##*/}"
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -e "$file" ] || private_apt_lines "$1" "${2-}" <"$file" | sort -u >"sources/of-${file##*/}"
	done
	private_apt update || true     # one of many sources may be out of reach
}

private_apt() {
	apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$PWD/sources" \
		-o Dir::State="$PWD/state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$PWD/cache" \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3 -o Acquire::Languages=none "$@"
}

private_apt_codename() {
	# shellcheck disable=SC1091
	(. /etc/os-release && echo "$VERSION_CODENAME")
}

# The paragraphs of a .sources file. The distribution's own archive is the one
# that has a suite of its very name.
private_apt_stanzas() {
	awk -v type="$1" -v suite="$2" -v own="$(private_apt_codename)" '
		BEGIN { RS = ""; FS = "\n"; ORS = "\n\n" }
		{
			has_own = 0
			for (i = 1; i <= NF; i++) {
				if ($i ~ /^Types:/)
					$i = "Types: " type
				if ($i !~ /^Suites:/)
					continue
				count = split($i, suites, /[ \t]+/)
				for (j = 2; j <= count; j++)
					has_own = has_own || suites[j] == own
				if (suite != "")
					$i = "Suites: " suite
			}
			if (suite != "" && !has_own)
				next
			for (i = 1; i < NF; i++)
				printf "%s\n", $i
			print $NF
		}'
}

# The lines of a sources.list, options in brackets or not.
private_apt_lines() {
	local line='(\[[^]]*\][[:space:]]+)?[^[:space:]]+'
	sed -nE "s/^deb(-src)?[[:space:]]+/$1 /p" |
		if [ -n "$2" ]; then
			sed -nE "s/^($1 $line)[[:space:]]+$(private_apt_codename)[[:space:]]/\1 $2 /p"
		else
			cat
		fi
}
