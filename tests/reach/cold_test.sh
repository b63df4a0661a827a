#!/bin/sh
# SPDX-License-Identifier: MIT
#
# cold_test.sh HIDE GORO [GDB SCRIPT]
#
# What observers see of cold stacks: all of their frames, and they stay cold; also of a program that
# stands still, where nobody could bring a page back, and of its core file. gdb says where to look.
hide=$1 goro=$2 gdb=$3 script=$4
dir=$(mktemp -d) || exit 1
pid=
finish() {
	[ -n "$pid" ] && kill -KILL $pid 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
mkfifo "$dir/input"
ulimit -c unlimited 2>/dev/null
(cd "$dir" && exec "$hide" cold <input >ready 2>err) &
pid=$!
exec 3>"$dir/input"
tries=0
until grep -q ready "$dir/ready"; do
	if grep -q skip "$dir/ready"; then
		cat "$dir/ready" "$dir/err"
		exit 77
	fi
	tries=$((tries + 1))
	[ $tries -gt 400 ] && exit 1
	sleep 0.05
done

# check WHAT: every frame of the eight, from the goroutine's function to the park in the runtime.
check() {
	if ! grep -q '^ *8 \[sleep, ' "$dir/out" || ! grep -q '^ *parks_for_long at ' "$dir/out" ||
		! grep -q '^8 goroutines, 0 B of stacks in memory' "$dir/out" ||
		grep -q 'unknown\|torn\|lost\|truncated' "$dir/out"; then
		echo "$1:"
		cat "$dir/out"
		exit 1
	fi
}

timeout 60 "$goro" dump $pid >"$dir/out" 2>&1
if grep -q 'no permission' "$dir/out"; then
	cat "$dir/out"
	exit 77
fi
check 'of the running program'
kill -STOP $pid
timeout 60 "$goro" dump $pid >"$dir/out" 2>&1
check 'of the stopped program'
kill -CONT $pid
timeout 60 "$goro" dump $pid >"$dir/out" 2>&1
check 'of the running program, again'

if [ -n "$gdb" ]; then
	"$gdb" -nx -batch -ex 'set debuginfod enabled off' -x "$script" -p $pid \
		-ex 'info goroutines' >"$dir/out" 2>&1
	if ! grep -q 'ptrace: Operation not permitted' "$dir/out" &&
		[ "$(grep -c 'parks_for_long (its stack is cold' "$dir/out")" != 8 ]; then
		echo 'in gdb:'
		cat "$dir/out"
		exit 1
	fi
fi

if [ "$(cat /proc/sys/kernel/core_pattern)" = core ]; then
	kill -ABRT $pid
	wait $pid 2>/dev/null
	pid=
	timeout 60 "$goro" dump "$dir"/core* >"$dir/out" 2>&1
	check 'of the core file'
	timeout 60 "$goro" leaks "$dir"/core* >"$dir/out" 2>&1
	if ! grep -q ' 1 leaked, ' "$dir/out" || ! grep -q leaked_in_truth "$dir/out"; then
		echo 'of the core file, leaks:'
		cat "$dir/out"
		exit 1
	fi
else
	echo 'core files do not go to the current directory here: not tested'
fi
exit 0
