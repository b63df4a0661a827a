#!/bin/sh
# SPDX-License-Identifier: MIT
#
# reach_test.sh HIDE GORO SCANS PLACE...
# reach_test.sh HIDE GORO doubt|maybe|fewer SCANS PLACE...
# reach_test.sh HIDE GORO unknown SCANS PLACE...
# reach_test.sh HIDE GORO foreign LIBRARY SCANS PLACE...
# reach_test.sh HIDE MUTANT mutant KIND=PLACE...
#
# The first form: in each place of hide.c, each of SCANS scans must find the one goroutine that is
# leaked in truth, and no other, and say nothing else. The second: the heap cannot be read whole
# there, which is said, and the one may not be found; `maybe`: or it is the first form; `fewer`: it is the first form,
# but the one may not be found, and that some stacks have no known end may be said. The third: nobody can see what may be a pointer
# there, so nothing is unreachable. The fourth: its malloc is that of a library, which is said once; what
# waits on stacks is found as in the first form. The last: with that kind of root left out some scan must accuse another one; else the first form proves nothing.
hide=$1 goro=$2 scans=$3 doubt=
shift 3
if [ "$scans" = doubt ] || [ "$scans" = maybe ] || [ "$scans" = fewer ]; then
	doubt=$scans scans=$1
	shift
fi
unknown=
if [ "$scans" = unknown ]; then
	unknown=yes scans=$1
	shift
fi
preload= notes=0
if [ "$scans" = foreign ]; then
	preload=$1 scans=$2 notes=1
	shift 2
	if [ ! -e "$preload" ]; then
		echo "skip: this machine has no ${preload%-NOTFOUND}"
		exit 77
	fi
	HIDE_STACK=1
	export HIDE_STACK
fi
dir=$(mktemp -d) || exit 1
pid=
finish() {
	[ -n "$pid" ] && kill -KILL $pid 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
cd "$dir" || exit 1
mkfifo "$dir/input"

start() {
	: >"$dir/ready"
	LD_PRELOAD=$preload "$hide" "$1" <"$dir/input" >"$dir/ready" &
	pid=$!
	exec 3>"$dir/input"
	tries=0
	until grep -q ready "$dir/ready"; do
		if ! kill -0 $pid 2>/dev/null; then
			wait $pid
			[ $? = 77 ] || exit 1
			echo "skip: the kernel does not have what $1 needs"
			# Or the next one holds its own input open, and never ends.
			exec 3>&-
			pid=
			return 77
		fi
		if grep -q skip "$dir/ready"; then
			cat "$dir/ready"
			exit 77
		fi
		tries=$((tries + 1))
		if [ $tries -gt 400 ]; then
			echo "hide $1 did not get ready"
			exit 1
		fi
		sleep 0.05
	done
}

stop() {
	if ! kill -0 $pid 2>/dev/null; then
		echo "hide $1 has ended: $(cat "$dir/out")"
		exit 1
	fi
	[ "$1" = vfork ] || left=$(ps -o pid= --ppid $pid)
	exec 3>&-
	wait $pid 2>/dev/null
	pid=
	if [ -n "$left" ]; then
		echo "hide $1: processes were left over: $left"
		exit 1
	fi
}

# On a busy machine a thread may not come to stand in time, or one that ends lies in the way: that look
# knows nothing, and is none of those that count.
scan() {
	again=0
	while :; do
		"$goro" leaks $pid >"$dir/out" 2>"$dir/err"
		status=$?
		[ $status = 6 ] && [ -z "$unknown" ] && [ $again -lt 20 ] || break
		grep -q 'no consistent view' "$dir/err" || break
		again=$((again + 1))
		sleep 0.1
	done
	leaked=$(sed -n 's/.*: \([0-9]*\) leaked, .*/\1/p' "$dir/out")
}

# A sandbox may forbid to stop a process: then nothing can be proved, and nothing tested.
cannot() {
	if grep -q 'may not be stopped\|no permission' "$dir/err"; then
		cat "$dir/err"
		exit 77
	fi
}

if [ "$scans" = mutant ]; then
	for pair; do
		start "${pair#*=}"
		GORO_REACH_SKIP=${pair%%=*}
		export GORO_REACH_SKIP
		looks=0 leaked=0
		until [ "${leaked:-0}" -gt 1 ]; do
			scan
			cannot
			looks=$((looks + 1))
			# What a thread or a stack was used for before may hide it, as it happens.
			if [ $((looks % 15)) = 0 ]; then
				unset GORO_REACH_SKIP
				stop "${pair#*=}"
				start "${pair#*=}"
				export GORO_REACH_SKIP="${pair%%=*}"
			fi
			if [ $looks -gt 60 ]; then
				echo "without ${GORO_REACH_SKIP} nothing changes in ${pair#*=}"
				cat "$dir/out" "$dir/err"
				exit 1
			fi
		done
		unset GORO_REACH_SKIP
		stop "${pair#*=}"
	done
	exit 0
fi

for place; do
	start "$place" || continue
	i=0
	while [ $i -lt "$scans" ]; do
		scan
		cannot
		# Where malloc() is always at work, some of it may never be seen whole.
		if [ "$place" = churn ] && grep -q 'being changed\|could not be walked' "$dir/out" &&
			[ "$leaked" -le 1 ]; then
			i=$((i + 1))
			continue
		fi
		if [ -n "$doubt" ] && [ "$leaked" -le 1 ] && [ ! -s "$dir/err" ] &&
			[ "$(grep -c 'counts as in use' "$dir/out")" = 1 ] &&
			[ "$(grep -c 'leaked_in_truth)$' "$dir/out")" = "$leaked" ]; then
			i=$((i + 1))
			continue
		fi
		if [ "$doubt" = fewer ] && [ "$leaked" -le 1 ] &&
			[ "$(grep -c 'leaked_in_truth)$' "$dir/out")" = "$leaked" ] &&
			! grep -qv 'this is not all: 0 records could not be read, 8 stacks not to' "$dir/err"; then
			i=$((i + 1))
			continue
		fi
		if [ -n "$unknown" ] && [ "$status" = 6 ] && [ "$leaked" = 0 ] &&
			[ "$(grep -c 'nobody can s[et]' "$dir/err")" = 1 ]; then
			i=$((i + 1))
			continue
		fi
		if [ "$doubt" = doubt ] || [ -n "$unknown" ] || [ "$status" != 23 ] || [ "$leaked" != 1 ] || [ -s "$dir/err" ] ||
			[ "$(grep -c 'counts as in use' "$dir/out")" != $notes ] ||
			! grep -q leaked_in_truth "$dir/out"; then
			echo "$place, scan $i: status $status"
			cat "$dir/out" "$dir/err"
			"$goro" leaks --why 2 $pid
			exit 1
		fi
		i=$((i + 1))
	done
	stop "$place"
done
