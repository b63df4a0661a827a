#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A core file of a program of another processor shows here what the same program shows there.
#   core_test.sh GORO HERE THERE EMULATOR SYSROOT      (HERE, THERE: tests/targets/park.c for each)
. "$(dirname "$0")/../check.sh"
goro=$1 here=$2 there=$(realpath "$3") emulator=$4 sysroot=$5
add_files=$(cd "$(dirname "$0")" && pwd)/add_files.py
cd "$scratch" || exit 1
ulimit -c unlimited 2>/dev/null || skip "core files are forbidden"
shown+=("$scratch/difference")

# Each goroutine's state, who started it, and its functions that are in park.c, with their lines.
stacks() {
	sed -nE 's/^ +goroutine [0-9]+ \[([^],]+).*/[\1]/p
		s/^ +(started by )?([a-z_]+) at .*\/(park\.c:[0-9]+)$/\1\2 \3/p' "$out"
}

start_program "$here"
is_parked() {
	"$goro" dump "$pid" >"$out" 2>"$err" && stacks >here &&
		[ "$(grep -c '^\[[^r]' here)" = 13 ] && grep -q '^main park.c' here
}
eventually is_parked
kill "$pid"

# Nobody sees how far the emulated program is, so it gets time, and if that was not enough more.
same_there() { # same_there SECONDS
	local core=(qemu_*.core)
	rm -f "${core[@]}"
	GORO_MAXPROCS=1 start_program "$emulator" -L "$sysroot" "$there"
	sleep "$1"
	cat "/proc/$pid/maps" >maps
	kill -ABRT "$pid"
	wait "$pid" 2>/dev/null
	core=(qemu_*.core)
	[ -e "${core[0]}" ] || skip "the emulator writes no core file"
	rm -f core core.* # the emulator's own
	run 5 "$goro" dump "./${core[0]}"
	has "$err" 'does not say which files were mapped (NT_FILE)'
	python3 "$add_files" "${core[0]}" maps "$sysroot" "$there" 2>"$err" || fail "no notes"
	"$goro" dump "./${core[0]}" >"$out" 2>"$err" && stacks >there && diff here there >difference
}
for seconds in 1 2 4 8 16 none; do
	[ $seconds != none ] || fail "not as here"
	! same_there $seconds || break
done

core=(qemu_*.core)
run 0 "$goro" doctor "./${core[0]}"
matches "$out" '^ok +unwinding +13 stacks by our unwinder alone'
has "$out" "found by its ELF note in $there"
# What only a kernel or gdb says is not there, so nothing unreachable is proved: only what needs no proof.
run 23 "$goro" leaks "./${core[0]}"
has "$err" 'reachability is unknown'
same "$(grep -c '^LEAKED (never)' "$out")" 2
hasnot "$out" 'LEAKED (unreachable)'
