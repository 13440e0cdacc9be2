#!/usr/bin/env bash
# stage.sh NAME SECONDS COMMAND...
# Runs one stage of the tests: named, timed, and ended when it takes too long.
# Ctrl-C reaches the command too, as SIGTERM: timeout puts it in a process group
# of its own, and the tests use it to end what they started.
set -um
name=$1 limit=$2
shift 2

printf '\n== %s\n' "$name"
begin=$SECONDS
timeout --kill-after=30 "$limit" "$@" &
child=$!
trap 'kill -TERM $child 2>/dev/null; interrupted=yes' INT TERM HUP
interrupted=
wait $child
status=$?
[ -z "$interrupted" ] || wait $child
took=$((SECONDS - begin))
case $interrupted$status in
0)   printf '== %s: passed in %d s\n' "$name" "$took" ;;
124) printf '== %s: STOPPED, it took longer than %d s\n' "$name" "$limit" ;;
yes*) printf '== %s: interrupted\n' "$name"; status=130 ;;
*)   printf '== %s: FAILED after %d s (status %d)\n' "$name" "$took" "$status" ;;
esac
exit $status
