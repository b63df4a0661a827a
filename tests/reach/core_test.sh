#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# core_test.sh HIDE GORO same PLACE...
# core_test.sh HIDE GORO unknown PLACE...
# core_test.sh HIDE MUTANT mutant PLACE...
#
# The first form: of a program that hides its pointers the kernel's core file says what the program
# says alive, with the same evidence. The second: in these places the only pointer is in memory that
# a core file lacks, so nothing may be said to be unreachable. The third: without the search for what
# is missing it would be.
. "$(dirname "$0")/../check.sh"
hide=$1 goro=$2 form=$3
shift 3
core=$scratch/core.of
cd "$scratch" || exit 1
ulimit -c unlimited || skip "no core files"

start_hide() {
	rm -f core core.*
	start_ready "$hide" "$1"
}

# End it with a core file, if that is written here.
make_core() {
	local file

	kill -ABRT "$pid"
	wait "$pid" 2>/dev/null
	for file in core core."$pid"; do
		[ -s "$file" ] && mv "$file" "$core"
	done
	[ -s "$core" ] || skip "this system writes core files elsewhere"
}

cannot_stop() {
	grep -q 'may not be stopped\|no permission' "$err"
}

# What two looks may differ in: how long it took, how long it waited, what registers held.
evidence() {
	sed -E -e 's/, [0-9.]+(ns|us|ms|s|m|h)[^]]*\]/]/; s/[0-9.]+ [KMG]?i?B?(bytes)? of roots and .*//' \
		-e '/^it was stopped for/d; /^keeps /d' "$1"
}

for place; do
	start_hide "${place%%:*}"
	if [ "$form" = same ]; then
		"$goro" leaks "$pid" >alive 2>"$err" </dev/null
		cannot_stop && skip "$(cat "$err")"
	fi
	# A change of what the kernel leaves out: place:filter.
	case $place in *:*) echo "${place#*:}" >/proc/"$pid"/coredump_filter || exit 1 ;; esac
	make_core
	case $form in
	same)
		run 23 "$goro" leaks "$core"
		[ -s "$err" ] && fail "$place: $(cat "$err")"
		has "$out" leaked_in_truth
		has "$out" ' 1 leaked, '
		evidence alive >alive.evidence
		evidence "$out" | diff alive.evidence - >&2 ||
			fail "$place: the core file shows another thing"
		run 23 "$goro" leaks --why 2 "$core"
		hasnot "$out" unknown
		;;
	unknown)
		[ "$place" = file_readonly ] && rm hide.map
		"$goro" leaks "$core" >"$out" 2>"$err" </dev/null
		same "$?" 6
		has "$err" 'goro: leaks: reachability is unknown'
		hasnot "$out" unreachable
		;;
	mutant)
		GORO_REACH_SKIP=gaps "$goro" leaks "$core" >"$out" 2>"$err" </dev/null
		grep -q ' 1 leaked, \| 0 leaked, ' "$out" && fail "$place: nothing changes without gaps"
		;;
	esac
	rm -f "$core"
done
