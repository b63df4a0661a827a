#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# keeps_test.sh KEEPS GORO MUTANT
#
# What a leaked goroutine keeps is the same whichever way it is found: a list of its own, and not
# what other memory leads to as well. In a big heap the filter does not go through what leads to
# nobody (reach_back.c): it must not say that all of that is in use, nor that none of it is.
. "$(dirname "$0")/../check.sh"
keeps=$1 goro=$2 mutant=$3
start_ready "$keeps"

kept() {
	"$@" leaks --format=json "$pid" >"$out" 2>"$err"
	[ $? = 23 ] || fail "$*: it is not LEAKED"
	python3 -c 'import json, sys
findings = json.load(sys.stdin)["findings"]
print(*[f["heap_bytes"] for f in findings if f["verdict"].upper() == "LEAKED"])' <"$out"
}

# 1000 objects and a channel.
first=$(kept "$goro")
[ "$first" -gt 500000 ] && [ "$first" -lt 600000 ] || fail "it keeps $first bytes"
for way in small far held; do
	again=$(GORO_REACH_SKIP=$way kept "$mutant")
	[ "$again" = "$first" ] || fail "with $way it keeps $again bytes, not $first"
done
