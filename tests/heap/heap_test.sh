#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# goro run --heap, as its users see it: each function here is a test of its own.
#
#   heap_test.sh CASE     with GORO, HOLDS, STATIC, LEAKY, LIAR (programs), CHECKS (this directory) set
# shellcheck source=tests/check.sh
source "$(dirname "${BASH_SOURCE[0]}")/../check.sh"

start() {
	start_program "$GORO" run --heap -- "$HOLDS"
	eventually grep -q -e ready -e FAIL "$scratch/program"
	has "$scratch/program" ready
}

# figures COMMAND.. - what heap.py says of its output, in $scratch/figures
figures() {
	run 0 "$@"
	python3 "$CHECKS/heap.py" <"$out" >"$scratch/figures" || fail "no JSON"
	shown+=("$scratch/figures")
}

holds() { # holds NAME LIVE/OBJECTS TOTAL/OBJECTS
	has "$scratch/figures" "$1 $2 $3"
}

# What the head of each function in holds.c says.
holds_all() {
	holds family 10160/10 10160/10
	holds giver 6000/6 10000/10
	holds taker 1500/1 1500/1
	holds grower 5000/1 8160/5
	holds tidy 0/0 64000/1000
	holds starter 100/1 100/1
	if grep -q ^cxx "$scratch/figures"; then
		matches "$scratch/figures" '^cxx 4096/3 '
	fi
	holds ended:leavers 26000/52 34200/120
	matches "$scratch/figures" '^outside [0-9]+/[0-9]+ '
	# The thread's 12345, and what libstdc++ keeps for exceptions.
	awk '$1 == "outside" { split($2, live, "/"); exit !(live[1] >= 12345 && live[1] < 200000) }' \
		"$scratch/figures" || fail "the thread's memory"
}

exact() {
	# From one worker on, so that it is starter who has threads started.
	export GORO_MAXPROCS=1
	start
	figures "$GORO" dump -f json "$pid"
	holds_all
	count "$scratch/figures" '^g1 ' 1
}

words() {
	start
	run 0 "$GORO" dump "$pid"
	matches "$out" '^goroutines hold [0-9.]+ KiB of heap in [0-9]+ objects, ended ones 25 KiB, threads [0-9.]+ KiB$'
	matches "$out" '^[67] goroutines, .* of stacks in memory, 2[2-6] KiB of heap in (19|22) objects$'
	has "$out" "held by goroutines that have ended"
	matches "$out" '^  25 KiB of heap in 52 objects, started by leavers (\(inlined\) )?at .*holds.c:[0-9]+$'
	run 0 "$GORO" dump -g none "$pid"
	has "$out" "    holds 9.9 KiB of heap in 10 objects"
	figures "$GORO" dump -f json "$pid"
	id=$(python3 -c 'import json, sys
print([g["id"] for g in json.load(sys.stdin)["goroutines"] if g["name"] == "giver"][0])' <"$out")
	run 0 "$GORO" stack "$pid" "$id"
	has "$out" "holds 5.9 KiB of heap in 6 objects, has allocated 9.8 KiB in 10"
}

# A program that runs without it says nothing of its heap.
without() {
	start_program "$HOLDS"
	eventually grep -q ready "$scratch/program"
	run 0 "$GORO" dump -f json "$pid"
	hasnot "$out" heap_live
	run 0 "$GORO" dump "$pid"
	hasnot "$out" "of heap"
}

# What go tool pprof makes of it, with the names that it knows from Go.
pprof() {
	command -v go >/dev/null || skip "no go tool"
	start
	run 0 "$GORO" profile -m heap -o "$scratch/heap.pb.gz" "$pid"
	run 0 go tool pprof -unit=B -top "$scratch/heap.pb.gz"
	has "$out" "Type: inuse_space"
	matches "$out" '^ +10160B +[0-9.]+% .* family$'
	matches "$out" '^ +6000B +[0-9.]+% .* giver$'
	matches "$out" '^ +26000B +[0-9.]+% .* \(ended goroutines\)$'
	matches "$out" '^ +0 +0% .* 26000B +[0-9.]+% +leavers'
	run 0 go tool pprof -unit=B -alloc_space -top "$scratch/heap.pb.gz"
	has "$out" "Type: alloc_space"
	matches "$out" '^ +64000B +[0-9.]+% .* tidy$'
	matches "$out" '^ +34200B +[0-9.]+% .* \(ended goroutines\)$'
	run 0 go tool pprof -inuse_objects -top "$scratch/heap.pb.gz"
	matches "$out" '^ +52 +[0-9.]+% .* \(ended goroutines\)$'
	run 0 go tool pprof -tags "$scratch/heap.pb.gz"
	has "$out" "goroutine:"
	run 0 "$GORO" profile -m heap -f folded "$pid"
	matches "$out" 'start;grower 5000$'
	start_program "$HOLDS"
	eventually grep -q ready "$scratch/program"
	run 5 "$GORO" profile -m heap -f folded "$pid"
	has "$err" "is not counted by goroutine: start it with: goro run --heap -- CMD"
}

# A recording shows the same figures, at each of its ticks.
recording() {
	start
	run 0 "$GORO" record -d 0 -o "$scratch/file" "$pid"
	figures "$GORO" dump -f json "$pid"
	mv "$scratch/figures" "$scratch/live"
	run 0 "$GORO" profile -m heap -f folded "$pid"
	mv "$out" "$scratch/profile"
	kill -KILL "$pid"
	for tick in 1 2; do
		figures "$GORO" dump --at=$tick -f json "$scratch/file"
		holds_all
		diff "$scratch/live" "$scratch/figures" >&2 || fail "not what the process showed"
		run 0 "$GORO" profile -m heap -f folded --at=$tick "$scratch/file"
		diff "$scratch/profile" "$out" >&2 || fail "not the profile of the process"
	done
}

# A core file, too: the notes are left out, the accounts are not.
core() {
	ulimit -c unlimited
	case $(cat /proc/sys/kernel/core_pattern) in
	'|'* | */*) skip "core files go elsewhere" ;;
	esac
	cd "$scratch" || fail cd
	start
	kill -ABRT "$pid"
	wait "$pid" 2>/dev/null
	file=$(ls core* 2>/dev/null) || skip "the kernel wrote no core file"
	figures "$GORO" dump -f json "$scratch/$file"
	holds_all
}

# Whoever has a pointer on the books keeps nothing alive by it.
proof() {
	start_program "$GORO" run --heap -- "$LEAKY"
	eventually grep -q ready "$scratch/program"
	"$GORO" leaks "$pid" >"$out" 2>"$err"
	case $? in
	23) ;;
	4 | 6) skip "$(cat "$err")" ;;
	*) fail "status of leaks" ;;
	esac
	has "$out" "nothing that can still run has a pointer to it"
}

# Everything but the heap is as without us.
status() {
	run 7 "$GORO" run --heap -- "$HOLDS" end
	[ ! -s "$err" ] || fail "words on stderr"
	run 7 "$GORO" run --heap -- sh -c 'exit 7'
	run 0 "$GORO" run --heap sh -c 'echo $$; cat'
	run 143 sh -c "\"$GORO\" run --heap -- sh -c 'kill -TERM \$\$'; exit \$?"
	run 127 "$GORO" run --heap -- no-such-command
	same "$(cat "$err")" "goro: run: cannot run no-such-command: No such file or directory"
	run 126 "$GORO" run --heap -- /etc/passwd
	same "$(cat "$err")" "goro: run: cannot run /etc/passwd: Permission denied"
	LD_PRELOAD=libm.so.6 run 0 "$GORO" run --heap sh -c 'echo "$LD_PRELOAD"'
	matches "$out" '^/.*/libgoro-heap.so:libm.so.6$'
}

refused() {
	run 2 "$GORO" run
	same "$(cat "$err")" "goro: run: which command? Give it after --"
	run 2 "$GORO" run -- true
	same "$(cat "$err")" "goro: run: what shall be seen of it? Give --heap"
	if [ -x "$STATIC" ]; then
		run 5 "$GORO" run --heap -- "$STATIC"
		same "$(cat "$err")" "goro: run: cannot watch the heap of $STATIC: it is statically linked; link it to a shared libc (libgoro may stay static)"
		PATH=$(dirname "$STATIC"):$PATH run 5 "$GORO" run --heap -- "$(basename "$STATIC")"
	fi
	mkdir "$scratch/bin"
	cp "$GORO" "$scratch/bin/goro"
	run 6 "$scratch/bin/goro" run --heap -- true
	matches "$err" '^goro: run: cannot load .*/libgoro-heap.so: No such file or directory: install goro anew'
	same "$(wc -l <"$err")" 1
}

# Programs that know nothing of goroutines, and a lot of malloc().
others() {
	run 0 "$GORO" run --heap -- python3 -c '
import threading
def work():
    kept = [str(i) * (i % 50) for i in range(20000)]
    del kept[::3]
threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print("done")'
	same "$(cat "$out")" done
	run 0 "$GORO" run --heap -- sh -c 'for i in 1 2 3; do ls / | sort -r | head -1; done'
}

liar() { # liar HOW
	start_program "$LIAR" "$1"
	eventually grep -q ready "$scratch/program"
}

# Books that make no sense are none, or as much as can be read; nobody crashes over them.
lies() {
	liar plain
	figures "$GORO" dump -f json "$pid"
	holds g1 1234/2 1234/2
	for how in cookie version count size; do
		liar $how
		run 0 "$GORO" dump -f json "$pid"
		hasnot "$out" heap_live
	done
	liar nowhere
	run 6 "$GORO" dump "$pid"
	has "$out" "the main goroutine"
	matches "$err" "this is not all: 100 records could not be read"
	liar huge
	run 6 "$GORO" dump -f json "$pid"
	hasnot "$out" '":-'
	matches "$err" "this is not all: 98 records could not be read"
	for how in sites same; do
		liar $how
		figures "$GORO" dump -f json "$pid"
		holds g1 1234/2 1234/2
		run 0 "$GORO" dump "$pid"
		run 0 "$GORO" profile -m heap -o "$scratch/profile" "$pid"
		run 0 "$GORO" record -d 0 -o "$scratch/file" "$pid"
		run 0 "$GORO" dump "$scratch/file"
	done
}

"$1"
