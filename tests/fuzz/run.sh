#!/usr/bin/env bash
# run.sh DIRECTORY SECONDS
# Runs every fuzzer in DIRECTORY: first the corpus in the tree, every file of
# it, then SECONDS of searching. What is found stays in DIRECTORY: new inputs in
# NAME.corpus/, and one that crashes, leaks, hangs or eats memory as NAME.crash-*.
set -u
directory=$1 seconds=$2
here=$(dirname "$0")
limits=(-rss_limit_mb=512 -timeout=5 -print_final_stats=1 -verbosity=0)
failed=0

# What a target has freed is kept for a while to see late uses of it: less than the
# usual 256 MB, which with small blocks alone go beyond the limit.
export ASAN_OPTIONS=quarantine_size_mb=32${ASAN_OPTIONS:+:$ASAN_OPTIONS}

shopt -s nullglob
for fuzzer in "$directory"/fuzz_*; do
	[ -f "$fuzzer" ] && [ -x "$fuzzer" ] || continue
	name=$(basename "$fuzzer")
	name=${name#fuzz_}
	seeds=$here/corpus/$name
	found=$directory/$name.corpus
	mkdir -p "$found"
	dictionary=()
	[ -f "$here/$name.dict" ] && dictionary=(-dict="$here/$name.dict")
	files=("$seeds"/*)
	[ ${#files[@]} -gt 0 ] || { echo "fuzz $name: no corpus in $seeds"; failed=1; continue; }

	log=$directory/$name.log
	if timeout 120 "$fuzzer" "${limits[@]}" "${files[@]}" >"$log" 2>&1 &&
		timeout $((seconds + 60)) "$fuzzer" "${limits[@]}" "${dictionary[@]}" -max_total_time="$seconds" \
			-artifact_prefix="$directory/$name." "$found" "$seeds" >>"$log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
		printf 'fuzz %-10s %d seeds replayed, %d more inputs in %d s: nothing found\n' \
			"$name" ${#files[@]} "$runs" "$seconds"
	else
		printf 'fuzz %-10s FAILED; the end of %s:\n' "$name" "$log"
		tail -n 40 "$log"
		failed=1
	fi
done
exit $failed
