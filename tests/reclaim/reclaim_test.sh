#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# GORO_RECLAIM and goro reclaim: each function here is a test of its own (see CMakeLists.txt).
#
#   reclaim_test.sh CASE    with GORO, STUCK, BUSY, FORGE set
# shellcheck source=tests/check.sh
source "$(dirname "${BASH_SOURCE[0]}")/../check.sh"

said=$scratch/said
wrong=$scratch/wrong
shown+=("$said" "$wrong")

# What cannot be stopped here cannot be proved here. What a sanitizer's allocator has is all in use.
reclaim() { # reclaim STATUS PID
	local got
	"$GORO" reclaim "$2" >"$out" 2>"$err" </dev/null
	got=$?
	grep -q "reachability is unknown" "$err" && skip "$(cat "$err")"
	[ "$got" = "$1" ] || fail "goro reclaim: status $got, not $1"
}

# eventually COMMAND.. - until it succeeds, for a minute
eventually() {
	local end=$((SECONDS + 60))
	until "$@" 2>/dev/null; do
		kill -0 "$pid" 2>/dev/null || fail "it has ended before: $*"
		((SECONDS < end)) || fail "not in a minute: $*"
		sleep 0.05
	done
}

start() { # start [NAME=VALUE..] PROGRAM ARG..
	: >"$said" # what the one before said is not an answer
	env "$@" >"$said" 2>"$wrong" </dev/null &
	pid=$!
	started+=("$pid")
	eventually grep -q ready "$said"
}

# One proof finds what is parked by then; on a busy machine some are on their way.
until_done() {
	local end=$((SECONDS + 60))
	while ! grep -q done "$said"; do
		((SECONDS < end)) || fail "not all that ought to go went"
		"$GORO" reclaim "$pid" >>"$out" 2>"$err" </dev/null
		case $? in
		0 | 23) ;;
		*) fail "goro reclaim: status $?" ;;
		esac
		grep -q "reachability is unknown" "$err" && skip "$(cat "$err")"
		kill -0 "$pid" 2>/dev/null || fail "it did not survive"
		sleep 0.05
	done
	[ -s "$wrong" ] && fail "it complains"
	"$GORO" leaks "$pid" >"$out" 2>"$err"
	[ $? = 0 ] || fail "something is left over"
}

# The same without a proof: what the runtime does, in any build.
until_told() {
	local end=$((SECONDS + 60))
	while ! grep -q done "$said"; do
		((SECONDS < end)) || fail "not all that ought to go went"
		"$FORGE" truth "$pid" >"$out" 2>"$err" </dev/null || fail "forge: $?"
		kill -0 "$pid" 2>/dev/null || fail "it did not survive"
	done
	[ -s "$wrong" ] && fail "it complains"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	return 0
}

told() {
	local procs name
	for procs in 1 2 4; do
		for name in each twice many crowd; do
			start GORO_RECLAIM=ask GORO_MAXPROCS=$procs "$STUCK" $name
			until_told
		done
	done
}

# ---- who is unwound, and in which order ----------------------------------------------------------

scene() { # scene NAME - with one processor, two and four
	local procs
	for procs in 1 2 4; do
		start GORO_RECLAIM=ask GORO_MAXPROCS=$procs "$STUCK" "$1"
		until_done
		kill -KILL "$pid"
		wait "$pid" 2>/dev/null
	done
	return 0
}

each() { scene each; }
lock() { scene lock; }
cycle() { scene cycle; }
group() { scene group; }
twice() { scene twice; }
many() { scene many; }
crowd() { scene crowd; }

with_lock_order() {
	start GORO_RECLAIM=ask GORO_LOCKORDER=1 GORO_MAXPROCS=2 "$STUCK" each
	until_done
}

# ---- by itself -----------------------------------------------------------------------------------

by_itself() {
	start GORO_RECLAIM="$GORO" GORO_MAXPROCS=2 "$STUCK" each
	eventually grep -q done "$said"
	"$GORO" dump --format json "$pid" >"$out" 2>"$err" || fail "dump"
	has "$out" '"reclaimed":15'
	# Nobody of ours is the program's child.
	[ -z "$(pgrep -P "$pid")" ] || fail "it has children"
}

finds_goro_in_path() {
	mkdir "$scratch/bin"
	ln -s "$GORO" "$scratch/bin/goro"
	start GORO_RECLAIM=1 PATH="$scratch/bin:$PATH" "$STUCK" lock
	eventually grep -q done "$said"
	start GORO_RECLAIM=1 PATH=/nowhere "$STUCK" lock
	has "$wrong" "no goro in PATH"
	: >"$wrong"
	until_done
}

# A gate wants to see what leaks.
not_in_a_check() {
	GORO_RECLAIM=1 "$GORO" check -- sh -c 'test -z "${GORO_RECLAIM+set}"' >"$out" 2>"$err" ||
		fail "it is reclaimed in a check"
}

# ---- what is refused -----------------------------------------------------------------------------

not_allowed() {
	start GORO_RECLAIM= "$STUCK" each
	reclaim 4 "$pid"
	has "$err" "goro: reclaim: process $pid does not allow it: start it with GORO_RECLAIM=ask"
	[ "$(wc -l <"$err")" = 1 ] || fail "more than a line"
	grep -q done "$said" && fail "it was unwound all the same"
	"$GORO" reclaim 999999999 >"$out" 2>"$err"
	[ $? = 3 ] || fail "no such process"
	"$GORO" reclaim >"$out" 2>"$err"
	[ $? = 2 ] || fail "no target"
	GORO_RECLAIM=perhaps "$STUCK" each >"$out" 2>"$err"
	[ $? = 2 ] || fail "a word that is none"
	has "$err" "GORO_RECLAIM=perhaps"
}

# Who runs a set-user-ID program does not choose what it runs.
not_for_others() {
	cp "$STUCK" "$scratch/set_user_id"
	chown nobody "$scratch/set_user_id" 2>/dev/null && chmod 4755 "$scratch/set_user_id" ||
		skip "only root can make a set-user-ID program of somebody else's"
	chmod 755 "$scratch"
	GORO_RECLAIM=/no/such "$STUCK" each >"$out" 2>"$err" </dev/null
	[ $? = 2 ] || fail "a program that is none"
	start GORO_RECLAIM=/no/such "$scratch/set_user_id" each
	reclaim 4 "$pid"
	has "$err" "does not allow it"
}

# What is not as it was at the proof, what cannot be, and what makes no sense.
false_candidates() {
	start GORO_RECLAIM=ask "$STUCK" each
	"$FORGE" lies "$pid" >"$out" 2>"$err" || fail "forge: $?"
	grep -q done "$said" && fail "something was unwound"
	until_told
}

# ---- in company ----------------------------------------------------------------------------------

two_at_once() {
	local a b first second
	start GORO_RECLAIM=ask "$STUCK" many
	"$GORO" reclaim "$pid" >"$out" 2>"$err" &
	a=$!
	"$GORO" reclaim "$pid" >"$scratch/out2" 2>"$scratch/err2" &
	b=$!
	wait $a
	first=$?
	wait $b
	second=$?
	grep -q "reachability is unknown" "$err" && skip "$(cat "$err")"
	for status in $first $second; do
		[ $status = 0 ] || [ $status = 23 ] || fail "statuses $first and $second"
	done
	until_done
}

killed_midway() {
	start GORO_RECLAIM=ask "$STUCK" many
	for delay in 0.01 0.03 0.05 0.1 0.15 0.2; do
		"$GORO" reclaim "$pid" >"$out" 2>"$err" &
		sleep $delay
		kill -KILL $! 2>/dev/null
		wait $! 2>/dev/null
		kill -0 "$pid" 2>/dev/null || fail "it did not survive"
	done
	until_done
}

# busy works on and checks itself, while it leaks some goroutines all the time.
while_it_works() {
	start GORO_RECLAIM=ask GORO_MAXPROCS=4 "$BUSY"
	for ((i = 0; i < 8; i++)); do
		"$GORO" reclaim "$pid" >"$out" 2>"$err"
		case $? in
		0 | 23) ;;
		*) fail "goro reclaim: status $?" ;;
		esac
		grep -q "reachability is unknown" "$err" && skip "$(cat "$err")"
		kill -0 "$pid" 2>/dev/null || fail "it did not survive"
	done
	kill -TERM "$pid"
	wait "$pid"
	[ $? = 0 ] || fail "busy found something wrong"
	has "$said" "went well"
}

"$1"
