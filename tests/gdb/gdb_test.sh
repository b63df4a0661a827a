#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# goro-gdb.py as its user sees it, and what a debugger sees of a switch.
#   gdb_test.sh CASE, with GDB, SCRIPT (goro-gdb.py), PARKED, THREADS, SWITCHER and HERE in the environment
set -uo pipefail
export GORO_MAXPROCS=1 LC_ALL=C
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# gdb 13 now and then misses a thread's beginning or end, and gives up on itself or on its script, or
# waits for that thread for ever: sysmon starts a worker while main, which stood in a breakpoint for
# long, ends the program. Nothing of ours is in that, so the session is held again.
gdb_lost='internal-error: wait returned unexpected status|Cannot find user-level thread for LWP'
gdb_lost+='|No unwaited-for children left'

gdb() {
	local session status
	for session in 1 2 3 4 5; do
		(cd "$scratch" && exec timeout -s KILL 20 "$GDB" -nx -batch \
			-ex 'set debuginfod enabled off' -ex 'set width 0' "$@") \
			</dev/null >"$scratch/out" 2>&1
		status=$?
		[ $status != 137 ] && ! grep -qE "$gdb_lost" "$scratch/out" && break
	done
	return $status
}

fail() {
	echo "failed: $*"
	cat "$scratch/out"
	exit 1
}

# says LINE... - regular expressions that must be found in the output, in this order.
says() {
	local from=1 at line
	for line in "$@"; do
		at=$(tail -n +$from "$scratch/out" | grep -nEm1 -- "$line" | cut -d: -f1)
		[ -n "$at" ] || fail "the output lacks (in this order): $line"
		from=$((from + at))
	done
}

listed=('^ +1  \[running\]  '
	'^ +2  \[chan receive\]  receive_at_depth at .*/parked\.c:[0-9]+$'
	'^ +created by main at .*/parked\.c:[0-9]+ in goroutine 1$'
	'^ +3  \[sync\.Mutex\.Lock\]  locker at '
	'^ +4  \[sync\.WaitGroup\.Wait\]  waiter at '
	'^ +5  \[new\]  fresh \(has not run yet\)$')
second=('^goroutine 2 \[chan receive\]:$' '^#[0-9]+ .* goro_(chan|park)_recv ' ' receive_at_depth '
	' receive_at_depth ' ' receive_at_depth ' ' receive_at_depth ' ' receiver ' ' goro_main '
	' goro_entry ')
rest=('^goroutine 3 \[sync\.Mutex\.Lock\]:$' ' goro_(mutex|park)_lock ' ' locker ' ' goro_entry '
	'^goroutine 4 \[sync\.WaitGroup\.Wait\]:$' ' goro_waitgroup_wait ' ' waiter ' ' goro_entry '
	'^goroutine 5 \[new\]:$' '^  has not run yet$')

# A busy machine can take main off its core for so long before it is in look() that another worker
# runs what it started last. Then the program is not where it should be, and is started again.
live() {
	local try
	for try in 1 2 3 4 5; do
		gdb -x "$SCRIPT" -ex 'break look' -ex run -ex 'info goroutines' \
			-ex 'goroutine all bt' -ex 'goroutine 3 up 2' -ex 'echo afterwards\n' -ex bt \
			-ex continue "$PARKED"
		! grep -q '\[new\]' "$scratch/out" || break
	done
	says 'look at ' "${listed[@]:1}" '^goroutine 1 \[running\]:$' '^#0 +look ' '^#1 .* main ' \
		"${second[@]}" "${rest[@]}" \
		'^afterwards$' '^#0 +look ' '^#1 .* main ' 'exited normally'
}

# core_of PROGRAM - written by the kernel, which alone reads past guard pages; sets $core.
core_of() {
	if [ "$(cat /proc/sys/kernel/core_pattern)" != core ] || ! ulimit -c unlimited 2>/dev/null; then
		echo "skipped: core files do not go to the current directory here"
		exit 77
	fi
	(cd "$scratch" && exec "$1" abort) >"$scratch/out" 2>&1
	core=$(ls "$scratch"/core* 2>/dev/null) || fail "no core file"
}

core() {
	core_of "$PARKED"
	gdb -x "$SCRIPT" -ex 'info goroutines' -ex 'goroutine all bt' "$PARKED" "$core"
	says "${listed[@]}" '^goroutine 1 \[running\]:$' 'abort \(' ' main ' "${second[@]}" "${rest[@]}"
}

# What gdb cannot read it says, and who can; the others are there as ever.
cold() {
	local refused="its stack is cold \\(GORO_COLD\\), where gdb cannot read: \`goro stack"

	export GORO_COLD=0.02
	if "$PARKED" 2>&1 | grep -q 'GORO_COLD is left out'; then
		echo "skipped: there are no cold stacks here"
		exit 77
	fi
	gdb -x "$SCRIPT" -ex 'break look' -ex run -ex 'info goroutines' -ex 'goroutine 2 bt' \
		-ex 'echo afterwards\n' -ex bt -ex continue "$PARKED"
	says "^ +2  \\[chan receive\\]  receiver \\($refused [0-9]+ 2\` can\\)$" \
		'^goroutine 2 \[chan receive\]:$' "^  $refused [0-9]+ 2\` can$" \
		'^afterwards$' '^#0 +look ' '^#1 .* main ' 'exited normally'
	core_of "$PARKED"
	gdb -x "$SCRIPT" -ex 'goroutine 2 bt' -ex 'goroutine 1 bt' "$PARKED" "$core"
	says "^  $refused [^ ]*core[^ ]* 2\` can$" '^goroutine 1 \[running\]:$' 'abort \(' ' main '
}

# Of threads.c: two that are locked to a thread, and two that threads of the program's own are. What
# stands in the library is called differently with and without its debug information.
of_threads=('^ +2  \[chan receive\]  receive_for_ever at .*/threads\.c:[0-9]+$'
	'^ +created by main at .*/threads\.c:[0-9]+ in goroutine 1$'
	'^ +3  \[running\]  .*pause' '^ +created by main at '
	'^ +[0-9]+  \[chan receive\]  receive_for_ever at .*/threads\.c:[0-9]+$'
	'^ +[0-9]+  \[running\]  .*pause')
their_stacks=('^goroutine 2 \[chan receive\]:$' ' goro_(chan|park)_recv ' ' receive_for_ever '
	' locked_waiter ' ' goro_main ' ' goro_entry '
	'^goroutine 3 \[running\]:$' '^#0 .*pause' ' stay_outside ' ' locked_runner ' ' goro_entry '
	'^goroutine [0-9]+ \[chan receive\]:$' ' goro_(chan|park)_recv ' ' receive_for_ever '
	' stranger_waits ' 'start_thread|\?\?'
	'^goroutine [0-9]+ \[running\]:$' '^#0 .*pause' ' stay_outside ' ' stranger_runs ')

threads_live() {
	gdb -x "$SCRIPT" -ex 'break look' -ex run -ex 'info goroutines' -ex 'goroutine all bt' \
		-ex 'echo afterwards\n' -ex bt -ex continue "$THREADS"
	says 'look at ' "${of_threads[@]}" '^goroutine 1 \[running\]:$' '^#0 +look ' \
		"${their_stacks[@]}" '^afterwards$' '^#0 +look ' '^#1 .* main ' 'exited normally'
	! grep -q ' goro_entry ' <(sed -n '/stranger_waits/,/^$/p' "$scratch/out") ||
		fail "a thread of the program's own began as a goroutine does"
}

threads_core() {
	core_of "$THREADS"
	gdb -x "$SCRIPT" -ex 'info goroutines' -ex 'goroutine all bt' "$THREADS" "$core"
	says "${of_threads[@]}" '^goroutine 1 \[running\]:$' 'abort \(' ' main ' "${their_stacks[@]}"
}

misuse() {
	gdb -x "$SCRIPT" -ex 'info goroutines' "$PARKED"
	says '^the runtime has not started yet$'
	gdb -x "$SCRIPT" -ex 'info goroutines' /bin/true
	says '^this is no goro program'
	gdb -x "$SCRIPT" -ex 'break look' -ex run -ex 'goroutine 99 bt' "$PARKED"
	says '^no goroutine 99; `info goroutines` lists them$'
	gdb -x "$SCRIPT" -ex 'goroutine bt' "$PARKED"
	says '^usage: goroutine N\|all COMMAND; for example: goroutine 7 bt$'
}

every_instruction() {
	gdb -x "$HERE/every_instruction.py" "$SWITCHER" || fail "status $?"
	says '^every instruction is good$'
}

case ${1:-} in
live | core | cold | threads_live | threads_core | misuse | every_instruction) "$1" ;;
*) echo "usage: $0 live|core|cold|threads_live|threads_core|misuse|every_instruction" >&2; exit 2 ;;
esac
