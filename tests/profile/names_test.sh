#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Names come from a stranger: whatever bytes they are made of, each format stays what it is.
#
#   names_test.sh     with GORO, STRANGE (a program), CHECKS (this directory) set
# shellcheck source=tests/check.sh
source "$(dirname "${BASH_SOURCE[0]}")/../check.sh"

python3 "$CHECKS/names.py" patch "$STRANGE" "$scratch/strange" || fail "the program has other names"
chmod +x "$scratch/strange"
start_program "$scratch/strange"
eventually grep -q ready "$scratch/program"
both_wait() {
	"$GORO" dump -f folded "$pid" >"$out" 2>"$err" && [ "$(grep -c 'chan receive' "$out")" -gt 0 ] &&
		[ "$(grep 'chan receive' "$out" | awk '{ n += $NF } END { print n }')" = 2 ]
}
eventually both_wait

# is KIND STATUS WORD.. - what goro WORD.. writes is what readers of that kind take
is() {
	local kind=$1 status=$2
	shift 2
	run "$status" "$GORO" "$@"
	python3 "$CHECKS/names.py" "$kind" "$out" 2>"$err" || fail "$*: not $kind"
}

is text 0 dump "$pid"
is text 0 dump -g none "$pid"
is go 0 dump -f go "$pid"
is json 0 dump -f json "$pid"
is folded 0 dump -f folded "$pid"
is pprof 0 dump -f pprof "$pid"
is text 0 ps --all
is json 0 ps --all -f json
is text 0 waits "$pid"
is json 0 waits -f json "$pid"
is dot 0 waits -f dot "$pid"
id=$("$GORO" dump -f go "$pid" | awk '/chan receive/ { print $2; exit }')
is text 0 stack "$pid" "$id"
is metrics 0 metrics "$pid"
for format in folded speedscope perfetto svg pprof; do
	kind=$format
	[[ $format != speedscope && $format != perfetto ]] || kind=json
	[ $format != svg ] || kind=xml
	is $kind 0 profile -m wall -d 200ms -f $format "$pid"
done
is text 0 record -d 200ms -o "$scratch/record" "$pid"
is text 0 replay "$scratch/record"
is json 0 dump -f json "$scratch/record"
# A sanitizer has the heap, so that nothing is proved, which is no matter here.
found=0
"$GORO" leaks -f json "$pid" >"$out" 2>"$err" || found=$?
is text $found leaks "$pid"
is json $found leaks -f json "$pid"
is json $found leaks -f sarif "$pid"
is xml $found leaks -f junit "$pid"
if [ $found = 23 ]; then
	is pprof 23 leaks -f pprof "$pid"
	is github 23 leaks -f github "$pid"
fi
