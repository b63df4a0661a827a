#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/gdb/every_instruction.py for a program in an emulator that lets a debugger in:
#   every_instruction.sh SCRIPT SYSROOT EMULATOR PROGRAM
set -uo pipefail
script=$1 sysroot=$2 emulator=$3 program=$4
scratch=$(mktemp -d)
program_pid=
trap 'kill -9 $program_pid 2>/dev/null; rm -rf "$scratch"' EXIT

# computed PID - the clock ticks that it has computed for; nothing if there is no such process.
computed() {
	awk '{ print $14 + $15 }' "/proc/$1/stat" 2>/dev/null
}

# ended PID - wait until it ends; its status is 124 if it was ended for having done nothing for long,
# which is not a matter of how busy the machine is.
ended() {
	local pid=$1 last= now quiet=0
	while kill -0 "$pid" 2>/dev/null && [ $quiet -lt 30 ]; do
		sleep 1
		now=$(computed "$pid")
		[ "$now" != "$last" ] && quiet=0 || quiet=$((quiet + 1))
		last=$now
	done
	[ $quiet -lt 30 ] || kill -9 "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	[ $quiet -lt 30 ] || return 124
}

# look - one session; its status is 124 if it got stuck.
look() {
	local deadline=$((SECONDS + 120)) status
	rm -f "$scratch/socket"
	GORO_MAXPROCS=1 "$emulator" -L "$sysroot" -g "$scratch/socket" "$program" &
	program_pid=$!
	until [ -S "$scratch/socket" ]; do
		if [ $SECONDS -ge $deadline ] || ! kill -0 $program_pid 2>/dev/null; then
			echo "the emulator opens no socket"
			exit 1
		fi
		sleep 0.05
	done
	GDB_REMOTE=$scratch/socket GDB_SYSROOT=$sysroot gdb-multiarch -nx -batch \
		-x "$script" "$program" </dev/null >"$scratch/out" 2>&1 &
	ended $!
	status=$?
	kill -9 $program_pid 2>/dev/null
	wait $program_pid 2>/dev/null
	return $status
}

# QEMU's stub for user programs (7.2) is for one thread. Where two come to stop at once both read what
# gdb says, each gets a part, and the session is stuck. Nothing of ours is in it, so it is held again.
for _ in 1 2 3 4 5; do
	look
	status=$?
	[ $status = 124 ] || break
done
if ! grep -qx 'every instruction is good' "$scratch/out"; then
	cat "$scratch/out"
	exit 1
fi
