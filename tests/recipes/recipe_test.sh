#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# recipe_test.sh RECIPE PROGRAM GORO - is the case that leaks the one that fails?
set -uo pipefail
recipe=$1 program=$2 goro=$3
left="1 x .*jobs_worker.* \[chan receive\], started by .* at .*jobs\.h:[0-9]+"
output=

fail() {
	printf 'FAIL: %s\n%s\n' "$*" "$output" >&2
	exit 1
}

run() { # run STATUS COMMAND..
	local want=$1 got
	shift
	output=$("$@" 2>&1)
	got=$?
	[ $got = "$want" ] || fail "$*: status $got, not $want"
}

says() {
	grep -qE -- "$1" <<<"$output" || fail "nothing like '$1'"
}

case $recipe in
cmocka)
	run 1 "$program"
	says '^\[  FAILED  \] .*jobs_are_done|\[  ERROR   \] jobs_are_done'
	says "$left"
	says '\[       OK \] worker_stops'
	says '\[       OK \] nothing_happens'
	;;
check)
	run 1 "$program"
	says '^66%: Checks: 3, Failures: 1, Errors: 0'
	says 'jobs:jobs_are_done:.*1 goroutine is left over:'
	says "$left"
	says 'jobs:worker_stops:.*Passed'
	says 'jobs:nothing_happens:.*Passed'
	;;
gtest)
	run 1 "$program"
	says '^\[  FAILED  \] Jobs\.AreDone'
	says ' 1 FAILED TEST'
	says "$left"
	says '^\[       OK \] Jobs\.WorkerStops'
	says '^\[       OK \] Jobs\.NothingHappens'
	;;
ctest)
	run 0 "$program" ask worker_stops
	run 2 "$program" ask jobs_are_done
	says "$left"
	run 0 "$goro" check -- "$program" worker_stops
	run 23 "$goro" check -- "$program" jobs_are_done
	says 'with_ctest: 1 goroutine left over at exit \[chan receive'
	says 'blocked in jobs_worker at .*jobs\.h'
	# Without lines there is still the program, and no line 0.
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	strip -o "$scratch/bare" "$program"
	run 2 "$scratch/bare" ask jobs_are_done
	says '1 x .* \[chan receive\], started by .* in .*/bare$'
	# As a project has it: the case that fails is named by ctest.
	for name in worker_stops jobs_are_done; do
		echo "add_test($name \"$goro\" check -- \"$program\" $name)"
	done >"$scratch/CTestTestfile.cmake"
	output=$(cd "$scratch" && ctest 2>&1) && fail "ctest has not seen it"
	says '1/2 Test #1: worker_stops .* Passed'
	says 'jobs_are_done \(Failed\)'
	;;
esac
