#!/usr/bin/env bash
# Runs weir under valgrind: the tests start this instead of it (WEIR_BIN). Whatever
# valgrind finds becomes the exit status 66.
here=$(dirname "$(realpath "$0")")
exec valgrind --quiet --error-exitcode=66 --leak-check=full --errors-for-leak-kinds=definite,indirect \
	--fair-sched=try --track-fds=no --num-callers=20 "$here/../weir" "$@"
