#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# form_test.sh GORO STATES - what goro dump --format go and SIGQUIT print of a program is what Go
# prints of one that does the same, byte for byte but for numbers, paths and libraries' frames.
. "$(dirname "$0")/../check.sh"
goro=$1 states=$2
here=$(cd "$(dirname "$0")" && pwd)

for go in go /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
	command -v "$go" >/dev/null && break
done
command -v "$go" >/dev/null || skip "no go: apt-get install golang-go"
case $("$go" env GOVERSION) in
go1.2[6-9]* | go1.[3-9][0-9]*) ;;
*) skip "a Go before 1.26 has other names for some states" ;;
esac

cp "$here/states.go" "$scratch"
(cd "$scratch" && GO111MODULE=off \
	"$go" build -o states_in_go states.go) >"$out" 2>"$err" || fail "the Go program does not compile"
run 0 "$scratch/states_in_go"
python3 "$here/normal.py" "$out" >"$scratch/go" || fail "this is no Go that we know"
same "$(grep -c '^goroutine' "$scratch/go")" 21
# Without the one that has not run yet; and what Go would print after five minutes.
awk 'BEGIN { RS = ""; ORS = "\n\n" } !/\[runnable\]/' "$scratch/go" >"$scratch/parked"
sed -E 's/^(goroutine N \[[^],]+)/\1, 5 minutes/' "$scratch/parked" >"$scratch/parked_late"
count "$scratch/parked_late" '^goroutine N \[[a-zA-Z ().]+, 5 minutes(, locked to thread)?\]:$' 20

start_states() {
	# Without job control a background command ignores SIGQUIT; env undoes that.
	env --default-signal=QUIT GORO_MAXPROCS=1 GORO_TRACEBACK=all "$states" 2>"$scratch/quit" &
	pid=$!
	started+=("$pid")
}
is_as() { # is_as FILE - the same blocks, in Go's order of them
	"$goro" dump --format go "$pid" >"$out" 2>"$err" &&
		python3 "$here/normal.py" "$out" >"$scratch/ours" 2>"$err" &&
		diff "$1" "$scratch/ours" >"$scratch/difference"
}
is_soon_as() {
	for _ in $(seq 100); do
		is_as "$1" && return
		sleep 0.1 # they are on their way to where they wait
	done
	fail "goro dump is not as Go"
}
shown+=("$scratch/difference")
start_states
is_soon_as "$scratch/parked"
! grep -qE '^(start_thread|clone|_start|__libc_start)' "$out" || fail "the C library's frames are shown"
! grep -qE '^	.* \+0x0$' "$out" || fail "an offset of 0 is shown"
cp "$out" "$scratch/dump"
kill -USR1 "$pid"
is_soon_as "$scratch/parked_late"
cp "$out" "$scratch/dump_late"

kill -QUIT "$pid"
wait "$pid"
cp "$scratch/quit" "$out"
python3 "$here/normal.py" "$scratch/quit" >"$scratch/ours" 2>"$err" || fail "SIGQUIT is not as Go"
diff "$scratch/parked_late" "$scratch/ours" >"$scratch/difference" || fail "SIGQUIT is not as Go"

# One that has not run yet: it may come to run all the same if main is held up just then.
awk 'BEGIN { RS = ""; ORS = "\n\n" } /\[runnable\]/' "$scratch/go" >"$scratch/new"
for _ in $(seq 10); do
	start_states
	is_soon_as "$scratch/parked"
	kill -USR2 "$pid"
	wait "$pid" 2>/dev/null
	python3 "$here/normal.py" "$scratch/quit" >"$scratch/ours" 2>"$err" || fail "abort() is not as Go"
	! grep -q '^wait_new' "$scratch/ours" || break
done
awk 'BEGIN { RS = ""; ORS = "\n\n" } /wait_new/' "$scratch/ours" >"$scratch/ours_new"
cp "$scratch/quit" "$out"
diff "$scratch/new" "$scratch/ours_new" >"$scratch/difference" || fail "a new one is not as Go's"

# What reads Go's form reads ours to the last byte. (Of one that is held up while it runs, inline
# functions of headers are shown; those panicparse does not know.)
mkdir "$scratch/reader"
cp "$here/reader.go" "$scratch/reader"
(cd "$scratch/reader" && "$go" mod init reader &&
	timeout 100 "$go" get github.com/maruel/panicparse/v2@v2.5.0 &&
	"$go" build -o ../read .) >"$out" 2>"$err" ||
	skip "no panicparse from the Go module proxy; but for it all is as Go"
for file in dump dump_late; do
	sed -n '/^goroutine /,$p' "$scratch/$file" >"$scratch/$file.go"
	run 0 "$scratch/read" "$scratch/$file.go"
	same "$(wc -l <"$out")" "$(grep -c '^goroutine ' "$scratch/$file")"
done
matches "$out" '^[0-9]+ \[sync.Mutex.Lock\] 5 minutes, [0-9]+ calls, created by main in goroutine 1$'
matches "$out" '^[0-9]+ \[chan receive\] 5 minutes, locked, [0-9]+ calls, created by main in goroutine 1$'
