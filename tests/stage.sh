#!/usr/bin/env bash
# stage.sh NAME SECONDS COMMAND...
# Runs one stage of the tests: named, timed, and ended when it takes too long.
set -u
name=$1 limit=$2
shift 2

printf '\n== %s\n' "$name"
begin=$SECONDS
timeout --kill-after=30 "$limit" "$@"
status=$?
took=$((SECONDS - begin))
case $status in
0)   printf '== %s: passed in %d s\n' "$name" "$took" ;;
124) printf '== %s: STOPPED, it took longer than %d s\n' "$name" "$limit" ;;
*)   printf '== %s: FAILED after %d s (status %d)\n' "$name" "$took" "$status" ;;
esac
exit $status
