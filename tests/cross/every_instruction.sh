#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/gdb/every_instruction.py for a program in an emulator that lets a debugger in:
#   every_instruction.sh SCRIPT SYSROOT EMULATOR PROGRAM
set -uo pipefail
script=$1 sysroot=$2 emulator=$3 program=$4
scratch=$(mktemp -d)
GORO_MAXPROCS=1 "$emulator" -L "$sysroot" -g "$scratch/socket" "$program" &
trap 'kill $! 2>/dev/null; rm -rf "$scratch"' EXIT

deadline=$((SECONDS + 30))
until [ -S "$scratch/socket" ]; do
	if [ $SECONDS -ge $deadline ] || ! kill -0 $! 2>/dev/null; then
		echo "the emulator opens no socket"
		exit 1
	fi
	sleep 0.05
done
GDB_REMOTE=$scratch/socket GDB_SYSROOT=$sysroot gdb-multiarch -nx -batch -x "$script" "$program" \
	</dev/null >"$scratch/out" 2>&1
if ! grep -qx 'every instruction is good' "$scratch/out"; then
	cat "$scratch/out"
	exit 1
fi
