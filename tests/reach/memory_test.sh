#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# memory_test.sh HIDE GORO
#
# Where memory is limited the target is never killed for our sake. In its own cgroup a copy that does not
# fit is not made, and that is said in one line; from another one it is looked at for next to none
# of what it has left, also through a child; and where no child may be made it is copied.
. "$(dirname "$0")/../check.sh"
hide=$1 goro=$2
MB=1048576
group=
cd "$scratch" || exit 1

leave() {
	local pid
	[ -n "$group" ] || return
	for pid in "${started[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	rmdir "$group"
}
trap 'status=$?; leave; (exit $status); finish' EXIT

# start_hide PLACE [COMMAND..] - in the group, if there is one.
start_hide() {
	local place=$1
	shift
	start_ready "$@" sh -c 'test -z "$2" || echo $$ >"$2/cgroup.procs"; exec "$0" "$1"' \
		"$hide" "$place" "$group"
}

# Look from within its group.
look_inside() {
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$goro" leaks "$pid" >"$out" 2>"$err" </dev/null
}

alive() {
	kill -0 "$pid" 2>/dev/null && ! grep -q 'State:.Z' "/proc/$pid/status" || fail "the target is dead"
}

start_hide data
"$goro" leaks "$pid" >"$out" 2>"$err" </dev/null
grep -q 'may not be stopped\|no permission' "$err" && skip "$(cat "$err")"
has "$out" ' 1 leaked, '

# No more processes for its user: who is not root may make no child. (All its threads are there.)
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	mkdir bin && cp "$hide" bin/ && chmod 711 "$scratch" bin
	other=(setpriv --reuid=65534 --clear-groups)
	hide=$scratch/bin/$(basename "$hide") HIDE_WIDE=1 start_hide data "${other[@]}"
	"${other[@]}" prlimit --pid "$pid" --nproc=1 || fail "prlimit"
	run 23 "$goro" leaks "$pid"
	has "$out" 'and copied meanwhile'
	alive
fi

# And of memory, by a cgroup of either version.
v1=/sys/fs/cgroup/memory v2=/sys/fs/cgroup
if [ -e $v1/memory.limit_in_bytes ] && mkdir "$v1/goro-memory.$$" 2>/dev/null; then
	group=$v1/goro-memory.$$
	limit=memory.limit_in_bytes used=memory.usage_in_bytes most=memory.max_usage_in_bytes
elif [ -e $v2/cgroup.controllers ] && mkdir "$v2/goro-memory.$$" 2>/dev/null; then
	group=$v2/goro-memory.$$
	limit=memory.max used=memory.current most=memory.peak
fi
if [ -z "$group" ] || ! [ -w "$group/$limit" ]; then
	echo "no memory cgroup can be made here: not tested"
	exit 0
fi

leaves() { # leaves MIB - to the group
	echo $(($(cat "$group/$used") + $1 * MB)) >"$group/$limit"
}

HIDE_FAT=64 start_hide data
leaves 40
look_inside
same $? 6
same "$(wc -l <"$err")" 1
matches "$err" 'reachability is unknown: a copy of its .* MiB may not fit in the .* MiB'
has "$out" ' 0 leaked, '
alive
leaves 400
look_inside
same $? 23
has "$out" ' 1 leaked, '
alive
leaves 24
run 23 "$goro" leaks "$pid"
alive

kill -KILL "$pid"
leaves 1000

# By a child that shares its pages: they stay shared.
HIDE_WIDE=1 HIDE_FAT=64 start_hide data
leaves 24
before=$(cat "$group/$used")
echo 0 >"$group/$most" 2>/dev/null
run 23 "$goro" leaks "$pid"
has "$out" ' 1 leaked, '
hasnot "$out" 'copied meanwhile'
alive
if [ -e "$group/$most" ] && [ "$(cat "$group/$most")" -gt $((before + 12 * MB)) ]; then
	fail "the group used $(cat "$group/$most") bytes, before it were $before"
fi
