#!/bin/sh
# SPDX-License-Identifier: MIT
#
# limits_test.sh HIDE GORO
#
# Where goro itself has no room for a copy it says so in one line, and the rest of its report stands.
# Where the target's cgroup allows no more processes, it is copied while it stands (if this test may
# make a cgroup, else that part is left out).
hide=$1 goro=$2
dir=$(mktemp -d) || exit 1
pid= group=
finish() {
	[ -n "$pid" ] && kill -KILL $pid 2>/dev/null && wait $pid 2>/dev/null
	[ -n "$group" ] && rmdir "$group"
	rm -rf "$dir"
}
trap finish EXIT
mkfifo "$dir/input"
HIDE_WIDE=1 "$hide" cells <"$dir/input" >"$dir/ready" &
pid=$!
exec 3>"$dir/input"
tries=0
until grep -q ready "$dir/ready"; do
	tries=$((tries + 1))
	[ $tries -gt 400 ] && exit 1
	sleep 0.05
done

fail() {
	echo "$1"
	cat "$dir/out" "$dir/err"
	exit 1
}

"$goro" leaks $pid >"$dir/out" 2>"$dir/err"
if grep -q 'may not be stopped\|no permission' "$dir/err"; then
	cat "$dir/err"
	exit 77
fi
grep -q ' 1 leaked' "$dir/out" || fail "not found without a limit"

(ulimit -v 700000 && exec "$goro" leaks $pid) >"$dir/out" 2>"$dir/err"
[ $? = 6 ] || fail "another status than 6"
[ "$(wc -l <"$dir/err")" = 1 ] || fail "not one line"
grep -q 'reachability is unknown: .*no room for a copy' "$dir/err" || fail "not the reason"
grep -q ' 0 leaked' "$dir/out" || fail "no report"

# Too few descriptors for us are no end of the target.
(ulimit -n 6 && exec "$goro" leaks $pid) >"$dir/out" 2>"$dir/err"
case $? in 3 | 23) fail "with 6 descriptors" ;; esac
grep -q 'Too many open files' "$dir/err" || fail "not the reason: descriptors"

# A stop by job control is left as it is.
kill -STOP $pid
"$goro" leaks $pid >"$dir/out" 2>"$dir/err"
grep -q ' 1 leaked' "$dir/out" || fail "not found while it is stopped"
grep -q '^State:.T (stopped)' /proc/$pid/status || fail "it goes on"
kill -CONT $pid

# A debugger has it.
if command -v gdb >/dev/null; then
	gdb -q -batch -nx -p $pid -ex 'shell touch '"$dir"'/attached; while [ ! -e '"$dir"'/enough ]; do sleep 0.05; done' \
		>/dev/null 2>&1 &
	debugger=$!
	tries=0
	until [ -e "$dir/attached" ] || [ $tries -gt 400 ]; do
		tries=$((tries + 1))
		sleep 0.05
	done
	"$goro" leaks $pid >"$dir/out" 2>"$dir/err"
	status=$?
	touch "$dir/enough"
	wait $debugger
	[ $status = 6 ] || fail "status $status beside a debugger"
	[ "$(grep -c "process $debugger (gdb) traces it" "$dir/err")" = 1 ] || fail "not the reason: debugger"
	grep -q ' 0 leaked' "$dir/out" || fail "found beside a debugger"
fi

for root in /sys/fs/cgroup/pids /sys/fs/cgroup; do
	if mkdir "$root/goro-limits.$$" 2>/dev/null; then
		group=$root/goro-limits.$$
		break
	fi
done
if [ -z "$group" ] || ! echo 1 >"$group/pids.max" || ! echo $pid >"$group/cgroup.procs"; then
	echo "no cgroup can be made here: not tested"
	exit 0
fi 2>/dev/null
"$goro" leaks $pid >"$dir/out" 2>"$dir/err"
grep -q ' 1 leaked' "$dir/out" || fail "not found with pids.max"
grep -q 'and copied meanwhile' "$dir/out" || fail "a child was made nevertheless"
