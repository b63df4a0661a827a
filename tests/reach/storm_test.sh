#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# storm_test.sh STORM GORO TIMES
#
# A target that becomes another program in any phase of a proof: one line at most, one of the
# statuses for it, no leak but the true ones, and it runs on, without a tracer.
. "$(dirname "$0")/../check.sh"
goro=$2 times=$3

start_program "$1"
proved=0
for _ in $(seq "$times"); do
	timeout 60 "$goro" leaks "$pid" >"$out" 2>"$err" </dev/null
	status=$?
	grep -q 'may not be stopped\|no permission' "$err" && skip "$(cat "$err")"
	case $status in
	0 | 3 | 5 | 6) hasnot "$out" LEAKED ;;
	23)
		proved=$((proved + 1))
		count "$out" '^LEAKED' 1
		matches "$out" 'started by (leak|main)'
		;;
	*) fail "status $status" ;;
	esac
	[ "$(wc -l <"$err")" -le 1 ] || fail "more than one line"
	kill -0 "$pid" || fail "the target is gone"
done
untouched() {
	grep -q '^TracerPid:.0$' "/proc/$pid/status" && grep -q '^State:.[RSD]' "/proc/$pid/status"
}
eventually untouched
echo "$proved of $times looks came to a proof"
