#!/usr/bin/env bash
# run.sh TEST...
# Runs unit tests: a line for each that passes, everything it said for one that
# does not.
set -u
failed=0

for test in "$@"; do
	name=${test##*/}
	if output=$(timeout 120 "$test" 2>&1); then
		printf 'unit %-20s %s\n' "${name#test_}" "$(grep '  PASSED  ' <<<"$output" | sed 's/^.*  PASSED  \] //')"
	else
		printf 'unit %-20s FAILED\n%s\n' "${name#test_}" "$output"
		failed=1
	fi
done
exit $failed
