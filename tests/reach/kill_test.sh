#!/bin/sh
# SPDX-License-Identifier: MIT
#
# kill_test.sh HIDE GORO TIMES
#
# Kill goro at any instant of a proof: the target must run on, without a tracer, and without a child,
# a zombie or a descriptor that it did not make. Then kill targets at any instant: that is told in one
# line, if it was before the proof was there.
hide=$1 goro=$2 times=$3
dir=$(mktemp -d) || exit 1
pid=
finish() {
	[ -n "$pid" ] && kill -KILL $pid 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
mkfifo "$dir/input"
"$hide" cells <"$dir/input" >"$dir/ready" &
pid=$!
exec 3>"$dir/input"
tries=0
until grep -q ready "$dir/ready"; do
	tries=$((tries + 1))
	[ $tries -gt 2400 ] && exit 1
	sleep 0.05
done

"$goro" leaks $pid >"$dir/out" 2>"$dir/err"
if grep -q 'may not be stopped\|no permission' "$dir/err"; then
	cat "$dir/err"
	exit 77
fi

i=0
while [ $i -lt "$times" ]; do
	timeout -s KILL 0.0$((i % 7))$((i % 10)) "$goro" leaks $pid >/dev/null 2>&1
	i=$((i + 1))
done

# The keepers see that they are alone, and clean up: that may take them a moment.
tries=0
until [ -z "$(ps -o pid= --ppid $pid)" ] && grep -q '^TracerPid:.0$' /proc/$pid/status; do
	tries=$((tries + 1))
	if [ $tries -gt 2400 ]; then
		echo "left behind:"
		ps -o pid,stat,comm --ppid $pid
		grep Tracer /proc/$pid/status
		exit 1
	fi
	sleep 0.05
done
if ls -l /proc/$pid/fd | grep userfaultfd; then
	echo "a descriptor was left behind"
	exit 1
fi
"$goro" leaks $pid >"$dir/out" 2>&1
if ! grep -q ' 1 leaked' "$dir/out"; then
	cat "$dir/out"
	exit 1
fi
exec 3>&-
wait $pid
status=$?
pid=

i=0
while [ $i -lt 15 ]; do
	: >"$dir/ready"
	"$hide" cells <"$dir/input" >"$dir/ready" &
	pid=$!
	exec 3>"$dir/input"
	tries=0
	until grep -q ready "$dir/ready" || [ $tries -gt 2400 ]; do
		tries=$((tries + 1))
		sleep 0.05
	done
	timeout 120 "$goro" leaks $pid >"$dir/out" 2>"$dir/err" &
	looker=$!
	sleep 0.0$((i % 5))$((i * 7 % 10))
	kill -KILL $pid
	wait $looker
	looked=$?
	wait $pid 2>/dev/null
	pid=
	exec 3>&-
	i=$((i + 1))
	[ $looked = 23 ] && [ ! -s "$dir/err" ] && continue
	if [ $looked != 3 ] || [ "$(wc -l <"$dir/err")" != 1 ]; then
		echo "the target was killed, and goro ended with $looked"
		cat "$dir/out" "$dir/err"
		exit 1
	fi
done
[ $status = 0 ] || echo "the target ended with $status"
exit $status
