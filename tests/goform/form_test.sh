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
same "$(grep -c '^goroutine' "$scratch/go")" 15

# Without job control a background command ignores SIGQUIT; env undoes that.
env --default-signal=QUIT "$states" 2>"$scratch/quit" &
pid=$!
started+=("$pid")
is_same() {
	"$goro" dump --format go "$pid" >"$out" 2>"$err" &&
		python3 "$here/normal.py" "$out" >"$scratch/ours" 2>"$err" &&
		cmp -s "$scratch/go" "$scratch/ours"
}
shown+=("$scratch/difference")
for _ in $(seq 100); do
	is_same && break
	sleep 0.1 # they are on their way to where they wait
done
diff "$scratch/go" "$scratch/ours" >"$scratch/difference" || fail "goro dump is not as Go"

kill -QUIT "$pid"
wait "$pid"
cp "$scratch/quit" "$out"
python3 "$here/normal.py" "$scratch/quit" >"$scratch/ours" 2>"$err" || fail "SIGQUIT is not as Go"
diff "$scratch/go" "$scratch/ours" >"$scratch/difference" || fail "SIGQUIT is not as Go"
