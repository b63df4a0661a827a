#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# naps_test.sh NAPS GORO
#
# What a main() has that sleeps and returns is used by nobody, unless its code does more, or somebody
# else has a pointer to its variables.
. "$(dirname "$0")/../check.sh"
naps=$1 goro=$2

# run LEAKED MODE... - so many are LEAKED, at each of three looks.
run() {
	local wanted=$1 pid
	shift
	"$naps" "$@" &
	pid=$!
	started+=("$pid")
	sleeps() {
		"$goro" dump "$pid" >"$out" 2>"$err" && grep -q 'chan receive' "$out" &&
			! grep -q 'running\|runnable' "$out"
	}
	eventually sleeps
	for _ in 1 2 3; do
		found() {
			"$goro" leaks "$pid" >"$out" 2>"$err"
			! grep -q 'no consistent view' "$err"
		}
		eventually found
		grep -q ": $wanted leaked" "$out" || fail "naps $*: not $wanted"
	done
	kill "$pid"
}

run 1
run 0 lent
run 0 closed
