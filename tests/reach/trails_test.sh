#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# trails_test.sh TRAILS GORO
#
# What the last owner of a stack left there hides no leak: whichever way the next one waits.
. "$(dirname "$0")/../check.sh"
trails=$1 goro=$2
cd "$scratch" || exit 1
# On one worker each goroutine ends before the next one starts, on the same stack.
GORO_MAXPROCS=1 start_ready "$trails"
looked() {
	"$goro" leaks --format=json "$pid" >"$out" 2>"$err"
	! grep -q 'no consistent view' "$err"
}
eventually looked
"$goro" dump --format=json "$pid" >dump.json 2>"$err" || fail "no dump"
hidden=$(python3 - "$out" dump.json <<'END'
import json, sys

findings, dump = (json.load(open(path)) for path in sys.argv[1:])
leaked = {gid for f in findings["findings"] if f["verdict"].upper() == "LEAKED"
	  for gid in f["goroutines"]}
named = {g["id"]: g["name"] for g in dump["goroutines"] if g["name"]}
if len(named) < 25:
	sys.exit("not all are there")
print(*[name for gid, name in named.items() if gid not in leaked])
print(*[gid for gid in leaked if gid not in named])
END
) || fail "no list of those that are leaked"
[ -z "${hidden//[$'\n']/}" ] || fail "hidden, or leaked without a name: $hidden"
