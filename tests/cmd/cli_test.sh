#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a user sees of goro: each function here is a test of its own (see CMakeLists.txt).
#
#   cli_test.sh CASE     with GORO, JSON_GET, NO_TABLES (a program without unwind data), PROGS (the
#                        others' directory), SOURCES (theirs) set
# shellcheck source=tests/check.sh
source "$(dirname "${BASH_SOURCE[0]}")/../check.sh"
[ -x "$GORO" ] || fail "no program $GORO"

# start PROGRAM ARG.. - in the background; its id is $pid.
start() {
	start_program "$PROGS/$1" "${@:2}"
}

# The line of a program's source that has this mark: "abba.c:27".
at() { # at PROGRAM MARK
	local line
	line=$(grep -n "/\* $2 \*/" "$SOURCES/$1.c" | cut -d: -f1)
	[ -n "$line" ] || fail "$1.c has no mark $2"
	echo "$1.c:$line"
}

# Until `goro leaks` has this verdict count.
leaked_is() {
	"$GORO" leaks --format json "$pid" >"$out" 2>"$err"
	[ "$("$JSON_GET" leaked <"$out" 2>/dev/null)" = "$1" ]
}

goroutines_reach() {
	"$GORO" dump --format json "$pid" >"$out" 2>"$err"
	[ "$("$JSON_GET" goroutines <"$out" 2>/dev/null)" -ge "$1" ] 2>/dev/null
}

# The id of the goroutine that runs this function: ids are given out in batches, so any will do.
gid_of() { # gid_of FUNCTION
	"$GORO" dump --format go "$pid" | awk -v f="$1(...)" \
		'/^goroutine / { id = $2 } $0 == f { print id; exit }'
}

# A core file of the process $pid, written by the kernel, which ends it: $core. False: not here.
kernel_core() {
	kill -ABRT "$pid"
	wait "$pid" 2>/dev/null
	for core in "$scratch/core" "$scratch/core.$pid"; do
		[ -f "$core" ] && return 0
	done
	return 1
}

# start, in a directory and with a limit that let the kernel write a core file
start_to_dump() {
	cd "$scratch" && ulimit -c unlimited || fail "no core files here"
	ASAN_OPTIONS=disable_coredump=0 TSAN_OPTIONS=disable_coredump=0 start "$@"
}

# ---- arguments -----------------------------------------------------------------------------------

commands="ps dump stack leaks reclaim waits profile sched metrics check run record replay diff doctor"

help_is_complete() {
	run 0 "$GORO" --help
	for command in $commands; do
		matches "$out" "^  $command +"
	done
	same "$(sed -n '/^Commands:/,/^$/p' "$out" | grep -c '^  ')" "$(wc -w <<<"$commands")"
	has "$out" "Exit status:"
	run 0 "$GORO" --version
	matches "$out" '^goro [0-9]+\.[0-9]+\.[0-9]+$'
	for command in $commands; do
		run 0 "$GORO" "$command" --help
		matches "$out" "^Usage: goro $command"
		has "$out" "Exit status:"
		[ ! -s "$err" ] || fail "help on stderr"
		# Text is as wide as it can be: no line ends where the next word had room.
		same "$(awk '/^[^ ]/ && before && length(before) + 1 + length($1) < 72 { print before }
			{ before = /^[^ ]/ && !/:$|^Usage/ ? $0 : "" }' "$out")" ""
		mv "$out" "$scratch/help"
		run 0 "$GORO" "$command" -h
		cmp -s "$out" "$scratch/help" || fail "$command -h is not $command --help"
	done
	run 0 "$GORO" -h
	has "$out" "Commands:"
}

# usage TEXT ARG.. - wrong usage: status 2 and this one line.
usage() {
	local text=$1
	shift
	run 2 "$GORO" "$@"
	same "$(cat "$err")" "goro: $text"
	[ ! -s "$out" ] || fail "wrong usage writes to stdout"
}

wrong_usage() {
	usage "which command? See \`goro --help'"
	usage "there is no command 'dmup'; see \`goro --help'" dmup 1
	usage "dump: which process? Give a pid or a name" dump
	usage "dump: one TARGET, but got '2' as well" dump 1 2
	usage "dump: the format is text, json, go, pprof or folded, not 'xml'" dump -f xml 1
	usage "dump: group by spawn, stack, state or none, not 'x'" dump --group=x 1
	usage "stack: which goroutine? Give a TARGET and a GID" stack 1
	usage "stack: a goroutine's id is a number from 1, not '0x1'" stack 1 0x1
	usage "stack: a goroutine's id is a number from 1, not '0'" stack 1 0
	usage "ps: takes no argument, but got '1'" ps 1
	usage "check: which command? Give it after --" check --
	for duration in 5 -1s 1x "" 0x1s 1e400s nan " 1s"; do
		usage "leaks: --suspect-age takes a duration like 500ms, 2s or 1m, not '$duration'" \
			leaks "--suspect-age=$duration" 1
	done
	usage "check: --grace takes a duration like 500ms, 2s or 1m, not '1'" check --grace 1 -- true
	usage "check: cannot write /nowhere/x: No such file or directory" \
		check -o /nowhere/x -- true
	run 2 "$GORO" dump --frobnicate 1
	has "$err" "unrecognized option '--frobnicate'"
}

no_target() {
	local none
	none=$(($(cat /proc/sys/kernel/pid_max) - 1))
	while kill -0 "$none" 2>/dev/null; do none=$((none - 1)); done
	for command in "dump $none" "stack $none 1" "leaks $none" "waits $none" "doctor $none" \
		"dump no-such-name" "dump 99999999999999999999" "dump 0"; do
		# shellcheck disable=SC2086
		run 3 "$GORO" $command
	done
	run 3 "$GORO" dump "$none"
	same "$(wc -l <"$err")" 1
	matches "$err" "^goro: dump: .*$none"
	[ ! -s "$out" ] || fail "output without a target"
	cd "$scratch" || fail "no scratch"
	echo words >no-such-process
	run 3 "$GORO" dump no-such-process
	has "$err" "there is no process named 'no-such-process', and the file is neither a core file nor a recording"
}

not_a_goro_program() {
	sleep 600 &
	pid=$!
	started+=("$pid")
	eventually grep -q sleep "/proc/$pid/comm" # no more this shell's copy
	run 5 "$GORO" dump "$pid"
	same "$(wc -l <"$err")" 1
	matches "$err" "^goro: dump: process $pid \(sleep\) has no goro runtime"
	run 5 "$GORO" doctor "$pid"
	matches "$out" "^failure +contract +process $pid \(sleep\) has no goro runtime"
}

# Under a filter as that of a container. (LeakSanitizer would want to trace the command.)
forbid() { # forbid STATUS CALLS ARG.. - arguments of goro
	local want=$1 calls=$2 got
	shift 2
	ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0 "$FORBID" "$calls" "$GORO" "$@" \
		>"$out" 2>"$err" </dev/null
	got=$?
	[ "$got" = 77 ] && skip "no filters of system calls here"
	[ "$got" = "$want" ] || fail "without $calls: $*: status $got, not $want"
}

# What the kernel forbids one call it may permit another; and what nobody may read is no program
# without goroutines.
forbidden_calls() {
	start abba
	eventually leaked_is 2
	forbid 0 process_vm_readv dump "$pid"
	has "$out" "3 goroutines: 2 sync.Mutex.Lock, 1 sleep"
	has "$out" "$(at abba FIRST)"
	forbid 23 process_vm_readv leaks --no-stop "$pid"
	has "$out" "LEAKED (cycle)"
	forbid 4 process_vm_readv,preadv dump "$pid"
	has "$err" "goro: dump: no permission to look into process $pid (abba)"
	has "$err" "--cap-add=SYS_PTRACE"
	forbid 4 process_vm_readv,preadv doctor "$pid"
	matches "$out" "^failure +process +no permission to look into process $pid"
	forbid 0 process_vm_readv,preadv ps --all
	matches "$out" "^ *$pid +- .*no permission to look into process $pid"
}

# After a second most machines have come to where there is something to be proved.
unknown_is_said() {
	forbid 124 ptrace check --timeout 1s -- "$PROGS/captive"
	grep -q "^goro: check: whether something is unreachable is not known: " "$err"
}

# What was not to be proved is said.
check_without_ptrace() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		unknown_is_said && return
	done
	fail "nothing says that a proof was not possible"
}

# A test that could not be looked at has not passed.
check_forbidden_calls() {
	forbid 23 process_vm_readv check --grace 0 -- "$PROGS/leftover"
	has "$err" "leftover: "
	forbid 6 process_vm_readv,preadv check -- "$PROGS/quiet" 0
	matches "$err" "^goro: check: process [0-9]+ was not checked: no permission"
	hasnot "$err" "nothing was checked"
	forbid 5 process_vm_readv,preadv check -- "$PROGS/quiet" 5
}

# ---- looking -------------------------------------------------------------------------------------

named_are_parked() {
	"$GORO" dump "$pid" >"$out" 2>"$err" && grep -q '2 chan receive' "$out"
}

# What goroutines carry with them is shown everywhere, and cannot break what it stands in.
# Of goroutines that run between any two reads each stack is whole, and that of its wait.
dump_of_moving() {
	start swing
	eventually waits_are_seen
	for _ in $(seq 20); do
		run 0 "$GORO" dump --format go "$pid"
		# Of one that never stood still while it was looked at there is none, which is said.
		awk -v RS= '
			/stack unavailable/ { next }
			/^goroutine [0-9]+ \[chan receive/ && (!/\ncatch_ball\(/ || /\nthrow_ball\(/) ||
			/^goroutine [0-9]+ \[chan send/ && (!/\nthrow_ball\(/ || /\ncatch_ball\(/)
		' "$out" >"$scratch/torn"
		[ ! -s "$scratch/torn" ] || fail "$(cat "$scratch/torn")"
	done
}

waits_are_seen() {
	"$GORO" dump --format go "$pid" >"$out" 2>"$err" && grep -q '\[chan receive' "$out" &&
		grep -q '\[chan send' "$out"
}

dump_filter() {
	start abba
	eventually leaked_is 2
	run 0 "$GORO" dump --filter 'state=lock' "$pid"
	has "$out" '2 goroutines of 3 match "state=lock": 2 sync.Mutex.Lock'
	has "$out" "$(at abba FIRST)"
	hasnot "$out" "the main goroutine"
	run 0 "$GORO" dump -g none -F 'not verdict=leaked' "$pid"
	has "$out" "goroutine 1 [sleep"
	hasnot "$out" "$(at abba FIRST)"
	run 0 "$GORO" dump --format json -F 'stack~usleep or gid=1' "$pid"
	same "$(json filter.expression)" "stack~usleep or gid=1"
	same "$(json filter.kept)" 1
	same "$(json filter.of)" 3
	same "$(json goroutines)" 1
	same "$(json goroutines.0.id)" 1
	same "$(json stacks)" 1
	same "$(json goroutines.0.stack_id)" 0
	same "$(json stacks.0.id)" 0
	run 0 "$GORO" dump --format go -F 'gid>1' "$pid"
	has "$out" "goroutine 2 ["
	hasnot "$out" "goroutine 1 ["
	run 0 "$GORO" dump --format folded -F 'gid>1' "$pid"
	same "$(awk '{ n += $NF } END { print n }' "$out")" 2
	# Nothing is an answer, too.
	run 0 "$GORO" dump -F no_such_function "$pid"
	has "$out" '0 goroutines of 3 match "no_such_function"'
	# What is wrong, with its column; the target need not be there.
	run 2 "$GORO" dump -F 'gid>1 and for>5x' 1
	same "$(cat "$err")" "goro: dump: bad filter 'gid>1 and for>5x': column 15: for needs a time such as 300us, 5s, 2m or 1h"
	run 2 "$GORO" dump -F '' 1
	has "$err" "column 1: a condition is missing"
}

names_and_labels() {
	start named
	eventually named_are_parked
	run 0 "$GORO" dump --group none "$pid"
	matches "$out" '^goroutine [0-9]+ \[chan receive, [^,]*, "parser", customer=acme, request=12\]$'
	matches "$out" '^goroutine [0-9]+ \[chan receive, [^,]*, "\?:\?\?\?31m\?", customer=<\?a\?>'
	hasnot "$out" $'\033'
	matches "$out" '^goroutine 1 \[sleep, [^,]*, customer=acme\]$'
	run 0 "$GORO" dump --format go "$pid"
	matches "$out" '^goroutine [0-9]+ \[chan receive, "parser", customer=acme, request=12\]:$'
	count "$out" "]:" 3
	run 0 "$GORO" dump --format json "$pid"
	same "$(json goroutines.0.name)" null
	same "$(json goroutines.0.labels.customer)" acme
	has "$out" '"name":"parser","labels":{"customer":"acme","request":"12"}'
	run 0 "$GORO" stack "$pid" "$(gid_of wait_for_work)"
	has "$out" '"parser", customer=acme, request=12]'
}

dump_formats() {
	start abba
	eventually leaked_is 2
	run 0 "$GORO" dump "$pid"
	matches "$out" "^abba \(pid $pid\), goro [0-9.]+, up "
	has "$out" "3 goroutines: 2 sync.Mutex.Lock, 1 sleep"
	has "$out" "$(at abba FIRST)"
	has "$out" "$(at abba SECOND)"
	has "$out" "the main goroutine"
	has "$out" "1 goroutine, "
	has "$out" ", LEAKED"
	matches "$out" "^read .* without a stop$"
	hasnot "$out" goro_park
	hasnot "$out" $'\033'
	for key in stack state none; do
		run 0 "$GORO" dump --group $key "$pid"
		has "$out" "$(at abba SECOND)"
	done

	run 0 "$GORO" dump --format json "$pid"
	same "$(json schema_version)" 2
	same "$(json pid)" "$pid"
	same "$(json goroutines)" 3
	same "$(json goroutines.0.id)" 1
	same "$(json goroutines.0.spawn)" null
	same "$(json goroutines.0.verdict)" ok
	same "$(json goroutines.0.proof)" null
	same "$(json goroutines.1.state)" waiting
	same "$(json goroutines.1.wait_reason)" sync.Mutex.Lock
	same "$(json goroutines.1.spawn.function)" main
	same "$(json goroutines.1.parent)" 1
	same "$(json goroutines.1.verdict)" leaked
	same "$(json goroutines.1.proof)" cycle
	[ "$(json goroutines.1.wait_ns)" -gt 0 ] || fail "no wait_ns"
	[ "$(json goroutines.1.memory.stack_reserved)" -gt "$(json goroutines.1.memory.stack_used)" ] ||
		fail "memory makes no sense"
	local stack
	stack=$(json goroutines.1.stack_id)
	same "$(json "stacks.$stack.id")" "$stack"
	same "$(json "stacks.$stack.complete")" true
	same "$(json trust.torn)" 0
	same "$(json trust.truncated)" 0

	run 0 "$GORO" dump --format go "$pid"
	matches "$out" '^goroutine 1 \[sleep\]:$'
	matches "$out" '^goroutine [0-9]+ \[sync\.Mutex\.Lock\]:$'
	matches "$out" '^first\(\.\.\.\)$'
	matches "$out" $'^\t/.*/'"$(at abba FIRST)"' \+0x[0-9a-f]+$'
	matches "$out" '^created by main in goroutine 1$'
	# Nothing but Go's five kinds of lines.
	! grep -vE $'^$|^goroutine [0-9]+ \\[.*\\]:$|^[^ \t].*\\(\\.\\.\\.\\)$|^\t.+:[0-9]+ \\+0x[0-9a-f]+$|^created by .* in goroutine [0-9]+$' \
		"$out" || fail "lines that Go does not print"

	run 0 "$GORO" dump --format json "$pid"
	same "$(json stopped)" false
	kill -STOP "$pid"
	is_stopped() { "$GORO" dump "$pid" >"$out" 2>"$err" && head -1 "$out" | grep -q ', stopped by a signal'; }
	eventually is_stopped
	run 0 "$GORO" dump --format json "$pid"
	same "$(json stopped)" true
}

# Each member of each document is in goro-json(5), and what is named there with a _ is in one of them.
json_is_documented() {
	command -v python3 >/dev/null || skip "no python3"
	local keys=$scratch/keys page=$scratch/page
	keys_in() { # keys_in FILE
		python3 - "$1" >>"$keys" <<-'PYTHON' || fail "no JSON"
			import json, sys
			def walk(value):
			    if isinstance(value, dict):
			        for key, inner in value.items():
			            print(key)
			            if key != "labels":
			                walk(inner)
			    elif isinstance(value, list):
			        for inner in value:
			            walk(inner)
			walk(json.load(open(sys.argv[1])))
		PYTHON
	}
	keys_of() { # keys_of STATUS COMMAND..
		run "$@"
		keys_in "$out"
	}
	"$GORO" run --heap -- "$PROGS/named" >"$scratch/program" 2>&1 &
	pid=$!
	started+=("$pid")
	eventually goroutines_reach 3
	keys_of 0 "$GORO" dump -f json "$pid"
	keys_of 0 "$GORO" dump -f json -F gid=1 "$pid"
	keys_of 0 "$GORO" ps -f json
	keys_of 0 "$GORO" diff -f json "$pid" "$pid"
	keys_of 0 "$GORO" doctor -f json "$pid"
	keys_of 0 "$GORO" leaks -f json --why "$(gid_of wait_for_work)" "$pid"
	matches "$out" '"address": "0x[0-9a-f]+"'
	! grep -qE '"address": [0-9]' "$out" || fail "an address that is no string"
	start busy
	sampled() {
		"$GORO" sched -f json "$pid" >"$out" 2>"$err" && [ "$(json latencies.count)" -gt 0 ]
	}
	eventually sampled
	keys_in "$out"
	start abba
	eventually leaked_is 2
	keys_of 0 "$GORO" waits -f json "$pid"
	keys_of 23 "$GORO" leaks -f json "$pid"
	echo 'func:wait_*' >"$scratch/rules"
	run 7 "$GORO" check --grace 10ms --suppress "$scratch/rules" -f json -o "$scratch/report" -- \
		"$PROGS/leftover" 0 2
	keys_in "$scratch/report"
	sed -n 's/\\-/-/g; s/^\.[BIR]* \(.*\)/\1/p' "$(dirname "$MANUAL")/goro-json.5" |
		grep -oE '[a-z][a-z0-9_]*' | sort -u >"$page"
	sort -u "$keys" -o "$keys"
	same "$(comm -23 "$keys" "$page" | xargs)" ""
	same "$(grep _ "$page" | comm -13 "$keys" - | xargs)" ""
}

one_stack() {
	start abba
	eventually leaked_is 2
	run 0 "$GORO" stack "$pid" "$(gid_of first)"
	matches "$out" '^goroutine [0-9]+ \[sync\.Mutex\.Lock, .*\]$'
	has "$out" "first at $SOURCES/$(at abba FIRST)"
	matches "$out" '^    > +[0-9]+  .*goro_mutex_lock\(&b\); /\* FIRST \*/$'
	matches "$out" "^started by main at .*abba.c:[0-9]+ in goroutine 1$"
	matches "$out" "^  goroutine $(gid_of second) \[sync\.Mutex\.Lock, .*\] second at "
	has "$out" "which waits for one of these: a cycle"
	matches "$out" '^stack: .* reserved, .* in memory'
	run 3 "$GORO" stack "$pid" 777777777
	matches "$err" '^goro: stack: there is no goroutine 777777777 in '
	run 3 "$GORO" leaks --why 777777777 "$pid"
	matches "$err" '^goro: leaks: there is no goroutine 777777777 in '
	run 0 "$GORO" stack "$pid" 1
	has "$out" "the main goroutine"
}

waits_formats() {
	start abba
	eventually leaked_is 2
	run 0 "$GORO" waits "$pid"
	matches "$out" "^mutex 0x[0-9a-f]+, held by goroutine $(gid_of second)$"
	matches "$out" "^  goroutine $(gid_of first) \[sync\.Mutex\.Lock, .*\] first at .*abba\.c:[0-9]+, LEAKED \(cycle\)$"
	count "$out" LEAKED 2
	run 0 "$GORO" waits --format dot "$pid"
	matches "$out" '^digraph waits \{$'
	matches "$out" "	g$(gid_of first) -> o[0-9a-f]+ \[label=\"sync\.Mutex\.Lock\"\];$"
	matches "$out" "	o[0-9a-f]+ -> g$(gid_of second) \[label=\"held by\"\];$"
	run 0 "$GORO" waits --format json "$pid"
	same "$(json objects)" 2
	same "$(json objects.0.kind)" mutex
	same "$(json objects.0.waiters)" 1
	start rwr
	eventually leaked_is 2
	run 0 "$GORO" waits "$pid"
	matches "$out" '^rwmutex 0x[0-9a-f]+, held by 1 reader$'
	matches "$out" "^  held for reading by goroutine $(gid_of reader) "
}

is_partial() {
	"$GORO" dump "$pid" >"$out" 2>"$err"
	[ $? = 6 ]
}

what_is_missing_is_said() {
	start damaged
	eventually is_partial
	for command in dump waits leaks; do
		run 6 "$GORO" $command "$pid"
		matches "$err" "^goro: $command: this is not all: 1 records could not be read, 0 stacks"
		[ -s "$out" ] || fail "nothing at all"
	done
	run 0 "$GORO" doctor "$pid"
	matches "$out" '^warning +goroutines +1 read in .*, 1 records unreadable$'
}

# A program that computes five milliseconds at a time has slices of that length in its histogram; there
# are never more of them than switches.
sched_formats() {
	long_slices() {
		"$GORO" sched --format json "$pid" >"$out" 2>"$err" &&
			[ "$(python3 - "$out" <<'PY'
import json, sys
data = json.load(open(sys.argv[1]))
slices, latencies = data["slices"], data["latencies"]
switches = sum(p["switches"] for p in data["processors"])
assert slices["count"] <= switches, (slices, switches)
assert slices["count"] == sum(b["count"] for b in slices["buckets"])
long = sum(b["count"] for b in slices["buckets"] if 2**22 < b["below_ns"])
print("yes" if long and latencies["count"] else "no")
PY
		)" = yes ]
	}
	export GORO_MAXPROCS=2
	start hog
	eventually long_slices
	# Who has nothing to do looks at the other's queue first.
	[ "$(python3 -c 'import json, sys
print(sum(p["spins"] for p in json.load(sys.stdin)["processors"]))' <"$out")" -gt 0 ] || fail "nobody looked for work"
	run 0 "$GORO" sched "$pid"
	matches "$out" "^  P  STATE .* STEALS +RETAKES +SPINS$"
	matches "$out" "^hog \(pid $pid\), goro [0-9.]+, up .* goroutines, [0-9]+ workers"
	matches "$out" "^  0  (idle|running) "
	matches "$out" "^run at a time: half below [0-9.]+(ns|us|ms|s), 99% below .* measured$"
	matches "$out" "^from runnable to running: half below "
	hasnot "$out" "not measured yet"
	run 2 "$GORO" sched -f xml "$pid"
	has "$err" "goro: sched: the format is text or json, not 'xml'"
}

# Who computes without end has no P, but is told of; and so has not become idle.
sched_without_p() {
	runs_on() {
		"$GORO" sched "$pid" >"$out" 2>"$err" &&
			grep -q '^run on, their P taken away for others: goroutine 2 on worker [0-9]*$' "$out"
	}
	start endless
	eventually runs_on
	run 0 "$GORO" sched -f json "$pid"
	same "$(json without_processor.0.goroutine)" 2
}

growth_is_seen() {
	"$GORO" leaks --for 1s --fail-on likely --format json "$pid" >"$out" 2>"$err"
	[ $? = 23 ]
}

# A compiler makes several calls of one line: whoever reads it sees one place.
one_line_is_one_site() {
	start twice
	eventually goroutines_reach 6
	run 0 "$GORO" dump "$pid"
	same "$(grep -c "started by main at .*$(at twice START)$" "$out")" 1
	matches "$out" "^5 goroutines, "
	run 0 "$GORO" leaks --suspect-age 1ms --format json "$pid"
	same "$(json findings)" 1
	same "$(json findings.0.count)" 5
	run 0 "$GORO" metrics "$pid"
	has "$out" "goro_spawn_site_goroutines{site=\"main at $(at twice START)\"} 5"
	same "$(grep -c '^goro_spawn_site_goroutines{' "$out")" 2
	run 0 "$GORO" record "$pid" -o "$scratch/r" --duration 0
	run 0 "$GORO" dump "$scratch/r"
	matches "$out" "^5 goroutines, "
	run 0 "$GORO" diff --format json "$scratch/r@1" "$pid"
	same "$(json sites)" 2
	kill -KILL "$pid"

	# All of them grow as one.
	start twice grow
	eventually growth_is_seen
	same "$(json findings)" 1
	same "$(json findings.0.count)" "$(json likely)"
	has "$out" "waiting goroutines of this spawn site grew from"
}

list_processes() {
	start abba
	eventually leaked_is 2
	run 0 "$GORO" ps
	matches "$out" "^ *$pid +goro [0-9.]+ +3 +[0-9]+ +.*abba"
	run 0 "$GORO" ps --format json
	matches "$out" "\"pid\": $pid,"
	# By name, if only one process has it.
	cp "$PROGS/abba" "$scratch/only$$"
	"$scratch/only$$" >"$scratch/program" 2>&1 &
	started+=($!)
	eventually "$GORO" dump "only$$" >"$out" 2>"$err"
	matches "$out" "^only$$ \(pid $!\), "
}

# Until the recording at $scratch/r has that many ticks.
ticks_reach() {
	[ "$("$GORO" replay "$scratch/r" 2>/dev/null | grep -c "not live: recording")" -ge "$1" ]
}

# On a busy machine a program may get no turn between two looks: then take another recording.
growth_is_recorded() {
	"$GORO" record "$pid" -o "$scratch/r" --interval 0.1 --duration 2 2>"$err" || return 1
	"$GORO" leaks --fail-on likely "$scratch/r" >"$out"
	[ $? = 23 ] && ticks_reach 3
}

recordings() {
	start grow
	eventually goroutines_reach 10
	# Its history shows growth without --for.
	eventually growth_is_recorded
	matches "$out" "^LIKELY"
	matches "$err" "^recorded [0-9]+ ticks in .*, [0-9]+ goroutines, "
	same "$(wc -l <"$err")" 1
	# A process is read as a summary, in which one stands for many.
	run 0 "$GORO" diff --format json "$scratch/r@1" "$pid"
	same "$(json after.goroutines)" $(($(json sites.0.after) + 1))
	kill -KILL "$pid"

	# Every command takes it, without the process.
	run 0 "$GORO" dump "$scratch/r"
	has "$out" "not live: recording $scratch/r, tick"
	has "$out" "$(at grow START)"
	run 0 "$GORO" dump --format json "$scratch/r"
	local ticks last first
	last=$(json goroutines)
	same "$(json pid)" "$pid"
	run 0 "$GORO" dump --at 1 --format json "$scratch/r"
	first=$(json goroutines)
	[ "$first" -lt "$last" ] || fail "$first goroutines, then $last"
	run 0 "$GORO" dump --format json "$scratch/r@1"
	same "$(json goroutines)" "$first"
	run 0 "$GORO" dump --at=-1 --format json "$scratch/r"
	same "$(json goroutines)" "$last"
	run 0 "$GORO" dump --at +1h --format json "$scratch/r"
	same "$(json goroutines)" "$last"
	run 0 "$GORO" dump --at 00:00:00 "$scratch/r"
	run 0 "$GORO" stack "$scratch/r" 1
	run 0 "$GORO" waits "$scratch/r"
	run 0 "$GORO" leaks "$scratch/r@2"
	has "$out" " 0 leaked"
	has "$err" "nothing is proved to be unreachable; and growth shows only over 11 ticks"
	run 0 "$GORO" dump --format folded "$scratch/r"
	same "$(awk '{ n += $NF } END { print n }' "$out")" "$last"
	for mode in goroutine stack; do # a moment is enough for these
		run 0 "$GORO" profile -m $mode -f folded "$scratch/r@1"
		has "$out" "forgotten;[chan receive] "
	done
	run 0 "$GORO" profile -m goroutine -f folded --at 1 "$scratch/r"
	same "$(awk '{ n += $NF } END { print n }' "$out")" "$first"
	run 0 "$GORO" profile -m goroutine -f folded "$scratch/r"
	same "$(awk '{ n += $NF } END { print n }' "$out")" "$last"
	run 5 "$GORO" profile -m cpu -f folded "$scratch/r"
	has "$err" "a recording has moments and no samples"
	run 0 "$GORO" dump --filter gid=1 "$scratch/r"
	has "$out" "1 goroutine of $last match"
	run 0 "$GORO" doctor "$scratch/r"
	has "$out" "all whole"

	run 0 "$GORO" replay "$scratch/r"
	ticks=$(grep -c "not live: recording" "$out")
	[ "$ticks" -ge 2 ] || fail "$ticks ticks in a second"
	run 0 "$GORO" replay --from 2 --to 2 --format json "$scratch/r"
	same "$(json pid)" "$pid"

	run 0 "$GORO" diff "$scratch/r"
	has "$out" "grown:"
	matches "$out" "\\+$((last - first))  $((first - 1)) to $((last - 1)), started by main at .*$(at grow START)"
	run 0 "$GORO" diff --format json "$scratch/r@1" "$scratch/r@-1"
	same "$(json after.goroutines)" "$last"
	same "$(json sites.0.change)" grown
	same "$(json sites.0.after)" $((last - 1))
	run 0 "$GORO" diff "$scratch/r@-1" "$scratch/r@1"
	has "$out" "shrunk:"

	run 2 "$GORO" dump --at "$((ticks + 1))" "$scratch/r"
	run 2 "$GORO" dump --at never "$scratch/r"
	run 2 "$GORO" record "$scratch/r" -o "$scratch/s"
	has "$err" "is a recording already"
	run 5 "$GORO" replay $$
	run 2 "$GORO" record $$
}

damage_tick() { # damage_tick NUMBER head|content - counted as in a list: 0 is the first, -1 the last
	cp "$scratch/r" "$scratch/d"
	python3 - "$scratch/d" "$@" <<'PY' || fail "cannot damage tick $1"
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
at, ticks = 16, []
while at < len(data):
	magic, kind, size = struct.unpack_from("<4sII", data, at)
	if kind != 1:
		ticks.append((at, size))
	at += 40 + size
at, size = ticks[int(sys.argv[2])]
data[at + (24 if sys.argv[3] == "head" else 40 + size // 2)] ^= 1
open(sys.argv[1], "wb").write(data)
PY
}

# What can be read is shown, one line says what is missing, and the status is 6.
damaged_recordings() {
	command -v python3 >/dev/null || skip "no python3"
	start grow
	eventually goroutines_reach 10
	"$GORO" record "$pid" -o "$scratch/r" --interval 0.05 --duration 1 2>"$err" || fail "no recording"
	local ticks line="^goro: [a-z]+: this is not all; the recording is damaged behind its"
	run 0 "$GORO" replay "$scratch/r"
	ticks=$(grep -c "not live: recording" "$out")
	[ "$ticks" -ge 4 ] || fail "$ticks ticks"

	for what in head content; do
		damage_tick -1 $what
		for command in dump diff waits sched "leaks --fail-on leaked"; do
			run 6 "$GORO" $command "$scratch/d"
			matches "$err" "$line tick $((ticks - 1)), [0-9.]+ (B|KiB) are lost"
			same "$(wc -l <"$err")" 1
			[ -s "$out" ] || fail "$command shows nothing"
		done
		run 6 "$GORO" stack "$scratch/d" 1
		has "$out" "goroutine 1"
		run 6 "$GORO" profile -m goroutine -f folded "$scratch/d"
		has "$err" "the recording is damaged behind its tick $((ticks - 1))"
		run 0 "$GORO" dump --at 1 "$scratch/d"
		run 0 "$GORO" replay --to 2 "$scratch/d"
		run 6 "$GORO" doctor "$scratch/d"
		run 6 "$GORO" replay "$scratch/d"
		same "$(grep -c "not live: recording" "$out")" $((ticks - 1))
		same "$(wc -l <"$err")" 1
	done
	matches "$err" "not all; 1 of $ticks ticks are damaged, the first is $ticks; see"
	run 6 "$GORO" dump --at=-1 "$scratch/d"
	has "$err" "--at $((ticks - 1))"

	damage_tick 1 head
	run 6 "$GORO" replay "$scratch/d"
	same "$(grep -c "not live: recording" "$out")" 1
	matches "$err" "$line last tick, "
	damage_tick 1 content
	run 6 "$GORO" replay "$scratch/d"
	has "$out" "recording $scratch/d, tick 1 of $ticks"
	matches "$err" "ticks are damaged, the first is 2; see"

	# Its recorder was killed while it wrote: that is no damage.
	head -c -1 "$scratch/r" >"$scratch/d"
	run 0 "$GORO" dump "$scratch/d"
	run 0 "$GORO" replay "$scratch/d"
	same "$(grep -c "not live: recording" "$out")" $((ticks - 1))
	run 0 "$GORO" doctor "$scratch/d"
	has "$out" "its recorder was killed while it wrote"
}

record_on_full_disk() { # record_on_full_disk FILE - nothing can be written but to pipes
	(trap '' XFSZ && ulimit -f 0 && exec "$GORO" record "$pid" -o "$1" --duration 0) 2>&1 |
		cat >"$err"
	same "${PIPESTATUS[0]}" 6
}

# What was recorded before stays until the first look of the next recording is in its file.
recording_stays() {
	start never
	eventually goroutines_reach 7
	cd "$scratch" || fail "no scratch"
	run 0 "$GORO" record "$pid" -o old --duration 0
	cp old copy
	chmod 640 old
	ln -s old link
	for name in old link; do
		run 3 "$GORO" record no-such-process -o "$name"
		run 5 "$GORO" record $$ -o "$name"
		record_on_full_disk "$name"
		has "$err" "cannot write $name: File too large"
		cmp copy "$name" >"$out" || fail "the old recording is not what it was"
	done
	run 5 "$GORO" record $$ -o new
	[ ! -e new ] || fail "a file is left of no recording"
	record_on_full_disk new
	[ ! -e new ] || fail "a file is left of no recording"

	run 0 "$GORO" record "$pid" -o link --duration 0
	! cmp copy old >"$out" || fail "the old recording is still there"
	[ -L link ] || fail "the link was replaced"
	same "$(stat -c %a old)" 640
	run 0 "$GORO" dump old
	# In a pipe, and where our own output goes to anyway, there is nothing to replace.
	"$GORO" record "$pid" -o /dev/stdout --duration 0 2>"$err" | cat >piped
	"$GORO" record "$pid" -o /dev/stdout --duration 0 >direct 2>"$err"
	run 0 "$GORO" dump piped
	run 0 "$GORO" dump direct
	same "$(echo *.*)" '*.*'
}

# The recorder dies by SIGKILL, and a file that was cut is good up to its last whole tick.
recorder_is_killed() {
	start grow
	eventually goroutines_reach 10
	"$GORO" record "$pid" -o "$scratch/r" --interval 10ms 2>/dev/null &
	local recorder=$!
	started+=("$recorder")
	eventually ticks_reach 3
	kill -KILL "$recorder"
	wait "$recorder" 2>/dev/null
	run 0 "$GORO" dump "$scratch/r"
	has "$out" "$(at grow START)"
	truncate -s -1 "$scratch/r"
	run 0 "$GORO" doctor "$scratch/r"
	has "$out" "bytes behind the last whole tick"
	run 0 "$GORO" dump "$scratch/r"
	truncate -s 100 "$scratch/r"
	run 5 "$GORO" dump "$scratch/r"
	has "$err" "no complete tick"
	same "$(wc -l <"$err")" 1

	# The process ends while it is recorded; Ctrl-C ends a recording as well.
	rm "$scratch/r"
	"$GORO" record "$pid" -o "$scratch/r" --interval 10ms 2>"$err" &
	recorder=$!
	eventually ticks_reach 1
	kill -KILL "$pid"
	wait "$recorder" || fail "record: status $?"
	has "$err" "the process has ended"
	start grow
	eventually goroutines_reach 2
	rm "$scratch/r"
	"$GORO" record "$pid" -o "$scratch/r" --interval 1h 2>"$err" &
	recorder=$!
	eventually ticks_reach 1
	kill -TERM "$recorder"
	wait "$recorder" || fail "record: status $?"
	has "$err" "recorded 1 tick in"
}

nice_of() { # nice_of PID
	nice=($(sed 's/.*)//' "/proc/$1/stat"))
	echo "${nice[16]}"
}

gives_way() { # gives_way PID
	[ "$(nice_of "$1")" = 10 ]
}

# Who looks all the time has the processor after the program.
recorder_gives_way() {
	local mine
	mine=$(nice)
	[ "$mine" -le 10 ] || skip "this runs at a nice value of $mine itself"
	start grow
	eventually goroutines_reach 2
	"$GORO" record "$pid" -o "$scratch/r" --interval 1h 2>"$err" &
	started+=($!)
	eventually gives_way $!
}

core_files() {
	start_to_dump abba
	eventually leaked_is 2
	run 23 "$GORO" leaks "$pid"
	grep -v "^LEAKED" "$out" >"$scratch/alive"
	kernel_core || { echo "SKIP: this system writes core files elsewhere"; exit 77; }

	run 23 "$GORO" leaks "$core"
	grep -v "^LEAKED" "$out" | diff "$scratch/alive" - || fail "the core file shows another thing"
	run 0 "$GORO" dump --format json "$core"
	same "$(json pid)" "$pid"
	same "$(json trust.lost)" 0
	run 0 "$GORO" dump "$core"
	has "$out" "not live: core file $core"
	has "$out" "$(at abba FIRST)"
	run 0 "$GORO" stack "$core" 2
	has "$out" "$(at abba FIRST)"
	run 0 "$GORO" waits "$core"
	run 0 "$GORO" doctor "$core"
	has "$out" "as it was when $core was written"
	cp "$core" whole

	truncate -s -4096 "$core"
	local command
	for command in dump waits sched metrics "profile -m stack -f folded" "diff ./whole" \
		"record -o $scratch/of_cut"; do
		run 6 "$GORO" $command "$core"
		has "$err" "the core file is cut short"
		same "$(grep -vc ^recorded "$err")" 1
	done
	run 6 "$GORO" profile -m goroutine -o "$scratch/of_cut.folded" "$core"
	[ -s "$scratch/of_cut.folded" ] || fail "what could be read is not written"
	run 6 "$GORO" stack "$core" 99999
	has "$err" "the core file is cut short"
	truncate -s 1000 "$core"
	run 5 "$GORO" dump "$core"
	has "$err" "cut short"
	same "$(wc -l <"$err")" 1
	printf '\363\0' | dd of="$core" bs=1 seek=18 conv=notrunc 2>"$err"
	run 5 "$GORO" dump "$core"
	has "$err" "is of a machine that goro does not know (ELF machine 243)"
	run 3 "$GORO" dump ./nothing
	run 5 "$GORO" dump "$PROGS/abba"
	has "$err" "is neither a core file nor a recording"
}

# The program was built anew since: what it says now is not what ran.
core_of_another_build() {
	cp "$PROGS/abba" "$scratch/moved"
	cd "$scratch" && ulimit -c unlimited
	ASAN_OPTIONS=disable_coredump=0 TSAN_OPTIONS=disable_coredump=0 ./moved &
	pid=$!
	started+=("$pid")
	eventually leaked_is 2
	kernel_core || { echo "SKIP: this system writes core files elsewhere"; exit 77; }
	cp "$PROGS/never" "$scratch/moved"
	run 5 "$GORO" dump "$core"
	has "$err" "$scratch/moved is not the file that ran"
	same "$(wc -l <"$err")" 1
	rm "$scratch/moved"
	run 5 "$GORO" doctor "$core"
	has "$out" "$scratch/moved: No such file or directory"
}

doctor_is_content() {
	start abba
	eventually leaked_is 2
	run 0 "$GORO" doctor "$pid"
	matches "$out" "^ok +process +$pid \(abba\) can be read$"
	matches "$out" '^ok +contract +version [0-9]+ of goro [0-9.]+ at 0x[0-9a-f]+, found by its ELF note in .*/abba$'
	matches "$out" '^ok +unwinding +our unwinder and libunwind agree on [1-9][0-9]* stacks'
	matches "$out" '^module .*/abba: .*; debug information, unwind tables'
	run 0 "$GORO" doctor --format json "$pid"
	same "$(json status)" 0
	same "$(json checks.0.name)" process
	same "$(json checks.0.state)" ok
}

# What no unwind data describes is less sure, and says so.
frame_pointers_are_said() {
	local note="(some frames are by frame pointers: their code has no unwind data)"
	are_said() {
		"$GORO" dump "$pid" >"$out" 2>"$err" && [ "$(grep -cF "$note" "$out")" = 8 ]
	}
	start_program "$NO_TABLES"
	eventually are_said
	run 0 "$GORO" stack "$pid" 1
	has "$out" "$note"
	run 0 "$GORO" dump -f json "$pid"
	has "$out" '"by_frame_pointer":true'
	run 0 "$GORO" doctor "$pid"
	matches "$out" '^warning +unwinding .*; [0-9]+ needed libunwind, [1-9][0-9]* frame pointers, 0 are cut short$'
	has "$out" "-fasynchronous-unwind-tables"
	start abba
	eventually leaked_is 2
	run 0 "$GORO" dump "$pid"
	hasnot "$out" "$note"
	run 0 "$GORO" dump -f json "$pid"
	hasnot "$out" '"by_frame_pointer":true'
}

# ---- verdicts ------------------------------------------------------------------------------------

proof_of_a_cycle() {
	start abba
	eventually leaked_is 2
	run 23 "$GORO" leaks "$pid"
	has "$out" "LEAKED (cycle): 2 goroutines [sync.Mutex.Lock, "
	matches "$out" "goroutine $(gid_of first) waits in sync.Mutex.Lock at .*$(at abba FIRST) \(first\) for the lock 0x[0-9a-f]+, which goroutine $(gid_of second) holds"
	matches "$out" "goroutine $(gid_of second) waits in sync.Mutex.Lock at .*$(at abba SECOND) \(second\) for the lock 0x[0-9a-f]+, which goroutine $(gid_of first) holds"
	# They stand at different places, and each was started by a go statement of its own.
	matches "$out" "^      first at .*$(at abba FIRST)$"
	matches "$out" "^      second at .*$(at abba SECOND)$"
	count "$out" "^  started by main at " 2
	has "$out" "3 goroutines: 2 leaked, 0 likely, 0 suspect"
	run 23 "$GORO" leaks --format json "$pid"
	same "$(json findings)" 1
	same "$(json findings.0.verdict)" leaked
	same "$(json findings.0.proof)" cycle
	same "$(json findings.0.goroutines)" 2
}

proof_of_an_orphan() {
	start orphan
	eventually leaked_is 2
	run 23 "$GORO" leaks "$pid"
	count "$out" "LEAKED \(orphan\)" 2
	matches "$out" "goroutine $(gid_of heir) waits in .*$(at orphan HEIR) \(heir\) .*, whose owner, goroutine [0-9]+, has ended"
	matches "$out" "goroutine [0-9]+ was started at .*$(at orphan START) \(main\) and ended .* ago while it held 1 lock$"
	matches "$out" "goroutine $(gid_of last) waits in .*$(at orphan LAST) \(last\) .*, which goroutine $(gid_of heir) holds"
	has "$out" "and is LEAKED itself"
}

proof_of_a_captive() {
	start captive
	"$GORO" leaks "$pid" >"$out" 2>"$err"
	if grep 'may not be stopped\|no permission' "$err"; then
		exit 77
	fi
	eventually leaked_is 3
	run 23 "$GORO" leaks "$pid"
	count "$out" "LEAKED \(unreachable\)" 1
	count "$out" "LEAKED \(orphan\)" 2
	matches "$out" "goroutine $(gid_of captive) waits in .*$(at captive CAPTIVE) \(captive\) .*, which goroutine $(gid_of holder) holds"
	matches "$out" "goroutine $(gid_of holder) waits in .*, and is LEAKED itself"
	matches "$out" "goroutine $(gid_of reader) waits in .*$(at captive READER) \(reader\) .*, which goroutine $(gid_of captive) holds"
}

proof_of_never() {
	start never
	eventually leaked_is 6
	run 23 "$GORO" leaks "$pid"
	count "$out" "LEAKED \(never\): 1 goroutine" 6
	for mark in RECEIVE SEND SELECT TWICE READ WRITE; do
		matches "$out" "goroutine [0-9]+ waits in .*$(at never $mark) "
	done
	count "$out" "which nothing can end" 3
	count "$out" "which it holds itself" 3
	count "$out" "which it holds itself for reading" 1
}

proof_of_read_write_read() {
	start rwr
	eventually leaked_is 2
	run 23 "$GORO" leaks "$pid"
	has "$out" "LEAKED (cycle): 2 goroutines"
	matches "$out" "sync.RWMutex.RLock at .*$(at rwr AGAIN) .*, behind goroutine $(gid_of writer), which waits to write"
	matches "$out" "sync.RWMutex.Lock at .*$(at rwr WRITE) .*, which goroutine $(gid_of reader) holds for reading"
}

# The most important one: a program that is never stuck, stopped in the middle of whatever it does.
no_false_proof() {
	for workers in 1 2 4; do
		GORO_MAXPROCS=$workers start busy
		eventually goroutines_reach 13
		for _ in $(seq 40); do
			kill -STOP "$pid"
			run 0 "$GORO" leaks "$pid"
			kill -CONT "$pid"
			run 0 "$GORO" leaks "$pid"
		done
		kill -KILL "$pid"
	done
}

grows() {
	"$GORO" leaks --for 1s --fail-on likely "$pid" >"$out" 2>"$err"
	[ $? = 23 ]
}

suspicions() {
	start grow
	eventually goroutines_reach 5
	# On a loaded machine it may not come to grow between two looks.
	eventually grows
	matches "$out" '^LIKELY \(growth\): [0-9]+ goroutines \[chan receive, '
	matches "$out" 'waiting goroutines of this spawn site grew from [0-9]+ to [0-9]+ at each of the last [0-9]+ looks'
	matches "$out" "started by main at .*$(at grow START)"
	run 0 "$GORO" leaks --for 1s "$pid"
	run 0 "$GORO" leaks --fail-on suspect "$pid"
	kill -STOP "$pid"
	run 0 "$GORO" leaks --suspect-age 1ms "$pid"
	matches "$out" '^SUSPECT \(age\): [0-9]+ goroutines \[chan receive, '
	matches "$out" 'has not moved for .* \(the threshold is 1ms\)$'
	run 0 "$GORO" leaks --suspect-age 1ms --fail-on likely "$pid"
	run 23 "$GORO" leaks --suspect-age 1ms --fail-on suspect "$pid"
}

# ---- check ---------------------------------------------------------------------------------------

# Nothing stays behind in the directory for temporary files.
no_litter() {
	[ -z "$(ls -A "$TMPDIR")" ] || fail "left in TMPDIR: $(ls -A "$TMPDIR")"
}

check_leftover() {
	run 23 "$GORO" check --grace 2s -- "$PROGS/leftover"
	same "$(cat "$out")" "main ends"
	has "$err" "leftover: 2 goroutines left over at exit [chan receive, "
	count "$err" "left over at exit" 1
	has "$err" "  blocked in wait_for_ever at $SOURCES/$(at leftover WAIT)"
	has "$err" "  started by main at $SOURCES/$(at leftover START)"
	has "$err" "      wait_for_ever at $SOURCES/$(at leftover WAIT)"
	has "$err" "goro: check: 2 goroutines in 1 group"
	no_litter
}

check_grace() {
	run 7 "$GORO" check --grace 30s -- "$PROGS/leftover" 200 0
	[ ! -s "$err" ] || fail "a report about nothing"
	run 23 "$GORO" check --grace 0 -- "$PROGS/leftover" 60000 0
	matches "$err" "leftover: 1 goroutine left over at exit \[(sleep|new|runnable|running)"
	no_litter
}

# What the runtime puts around a function is not what was started, nor where.
check_names_tasks() {
	run 23 "$GORO" check --grace 0 -- "$PROGS/tasks"
	has "$err" "  started by main at $SOURCES/$(at tasks TASK)"
	has "$err" "  started by main at $SOURCES/$(at tasks FETCH)"
	has "$err" "  started by main at $SOURCES/$(at tasks PART)"
	run 23 "$GORO" check --grace 0 --allow-leftover task -- "$PROGS/tasks"
	has "$err" "goro: check: 2 goroutines in 2 groups"
	run 0 "$GORO" check --grace 0 --allow-leftover task --allow-leftover fetch \
		--allow-leftover part -- "$PROGS/tasks"
}

check_allowed() {
	run 7 "$GORO" check --grace 0 --allow-leftover 'wait_for_*' --allow-leftover end_soon \
		-- "$PROGS/leftover"
	run 7 "$GORO" check --grace 30s --allow-leftover "$(at leftover START)" -- "$PROGS/leftover"
	run 7 "$GORO" check --grace 0 --allow-leftover main -- "$PROGS/leftover"
	run 23 "$GORO" check --grace 0 --allow-leftover 'wait_for' --allow-leftover end_soon \
		-- "$PROGS/leftover"
}

check_passes_through() {
	local status
	for status in 0 1 5 255; do
		echo "some input" | "$GORO" check -- "$PROGS/quiet" $status >"$out" 2>"$err"
		same $? $status
		same "$(cat "$out")" "some input"
		same "$(cat "$err")" "a word"
	done
	for status in 9 15 6; do
		run $((128 + status)) "$GORO" check -- "$PROGS/quiet" -$status
	done
	run 127 "$GORO" check -- "$PROGS/no-such-program"
	matches "$err" '^goro: check: cannot run .*no-such-program: No such file or directory$'
	run 126 "$GORO" check -- "$SOURCES/quiet.c"
	matches "$err" '^goro: check: cannot run .*quiet.c: Permission denied$'
	run 126 "$GORO" check -- "$scratch"
	no_litter
}

# exit() in another goroutine than main: neither it nor main is left over.
check_exit_elsewhere() {
	run 3 "$GORO" check --grace 0 -- "$PROGS/exits"
}

check_without_a_runtime() {
	run 0 "$GORO" check -- true
	matches "$err" '^goro: check: nothing was checked: true ran no program with a goro runtime'
	run 1 "$GORO" check -- false
	run 7 "$GORO" check -- sh -c 'exit 7'
	no_litter
}

check_deadlock() {
	run 23 "$GORO" check -- "$PROGS/abba" asleep
	has "$err" "fatal error: all goroutines are asleep - deadlock!"
	has "$err" "abba: 1 goroutine in a deadlock of all [sync.WaitGroup.Wait"
	has "$err" "  the main goroutine"
	count "$err" "abba: 1 goroutine stuck for ever \[sync.Mutex.Lock" 2
	matches "$err" "which goroutine [0-9]+ holds"
	no_litter
}

check_children() {
	for how in "" fork; do
		# shellcheck disable=SC2086
		run 23 "$GORO" check --grace 2s -- "$PROGS/parent" $how "$PROGS/leftover"
		has "$err" "leftover: 2 goroutines left over at exit"
	done
	# The same in several processes is one group.
	run 23 "$GORO" check --grace 2s -- \
		sh -c "'$PROGS/leftover' & '$PROGS/leftover' & '$PROGS/leftover'; wait"
	has "$err" "leftover: 6 goroutines left over at exit"
	has "$err" "goro: check: 6 goroutines in 1 group"
	run 7 "$GORO" check --grace 30s -- "$PROGS/parent" "$PROGS/leftover" 1 0
	no_litter
}

gone() { # gone PID
	! kill -0 "$1" 2>/dev/null
}

check_timeout() {
	run 124 "$GORO" check --timeout 2s -- "$PROGS/stubborn"
	eventually gone "$(cat "$out")"
	# What it did then is what the reader of a build's log wants to know.
	matches "$err" "^goro: check: .*/stubborn is killed after --timeout 2.0s"
	matches "$err" "^stubborn \(pid $(cat "$out")\), "
	has "$err" "main at $SOURCES/$(at stubborn SLEEP)"
	# Not so in the middle of a document.
	run 124 "$GORO" check --timeout 500ms -f json -- "$PROGS/stubborn"
	same "$(head -c1 "$err")" "{"
	hasnot "$err" "main at"
	run 124 "$GORO" check --timeout 2s -f json -o "$scratch/report" -- "$PROGS/stubborn"
	has "$err" "main at $SOURCES/$(at stubborn SLEEP)"
	run 23 "$GORO" check --timeout 2s -- "$PROGS/stubborn" stuck
	eventually gone "$(cat "$out")"
	has "$err" "stubborn: 1 goroutine stuck for ever [sync.Mutex.Lock"
	has "$err" "blocked in lock_twice at $SOURCES/$(at stubborn TWICE)"
	has "$err" "which it holds itself"
	run 23 "$GORO" check --timeout 2s -- "$PROGS/stubborn" child
	has "$err" "blocked in lock_twice"
	while read -r child; do eventually gone "$child"; done <"$out"
	run 124 "$GORO" check --timeout 100ms -- sleep 600
	run 5 "$GORO" check --timeout 60s -- "$PROGS/quiet" 5
	no_litter
}

check_forwards_signals() {
	mkfifo "$scratch/fifo"
	exec 8<>"$scratch/fifo"
	for signal in TERM:143 INT:130 HUP:129; do
		# A shell ignores SIGINT in its background jobs, and nohup SIGHUP in all that it starts.
		env --default-signal=INT,HUP "$GORO" check -- "$PROGS/quiet" <&8 >"$out" 2>"$err" &
		pid=$!
		started+=("$pid")
		eventually has_child "$pid"
		kill -"${signal%:*}" "$pid"
		wait "$pid"
		same $? "${signal#*:}"
		no_litter
	done
}

has_child() {
	local children
	children=$(cat "/proc/$1/task/$1/children" 2>/dev/null)
	[ -n "$children" ] && [ "$(cat /proc/${children%% *}/comm)" = quiet ]
}

check_report_forms() {
	run 23 "$GORO" check --grace 2s -o "$scratch/report" -- "$PROGS/leftover"
	[ ! -s "$err" ] || fail "a report on stderr in spite of -o"
	has "$scratch/report" "leftover: 2 goroutines left over at exit"
	run 23 "$GORO" check --grace 2s -f json -o "$scratch/report" -- "$PROGS/leftover" 0 3
	same "$(json schema_version "$scratch/report")" 2
	same "$(json command_status "$scratch/report")" 7
	same "$(json findings "$scratch/report")" 1
	same "$(json findings.0.kind "$scratch/report")" leftover
	same "$(json findings.0.count "$scratch/report")" 3
	same "$(json findings.0.wait_reason "$scratch/report")" "chan receive"
	same "$(json findings.0.blocked.function "$scratch/report")" wait_for_ever
	same "$(json findings.0.spawn.function "$scratch/report")" main
	same "$(json findings.0.stack.complete "$scratch/report")" true
	run 0 "$GORO" check -f json -o "$scratch/report" -- "$PROGS/quiet"
	same "$(json findings "$scratch/report")" 0
	same "$(json checked "$scratch/report")" 1
	run 6 "$GORO" check -f json -o /dev/full -- "$PROGS/quiet"
}

# Twice the same: only ages and addresses differ.
check_is_deterministic() {
	local first=
	for _ in 1 2 3 4; do
		run 23 "$GORO" check -- "$PROGS/abba" asleep
		sed -n '/^abba: /,$p' "$err" |
			sed -E 's/(up to )?[0-9.]+m?s\]/AGE]/; s/0x[0-9a-f]+/ADDRESS/g; s/goroutine [0-9]+/goroutine N/g' >"$scratch/now"
		[ -n "$first" ] || cp "$scratch/now" "$scratch/before"
		first=no
		cmp -s "$scratch/now" "$scratch/before" ||
			fail "reports differ: $(diff "$scratch/before" "$scratch/now")"
	done
}

# ---- manual and completion -----------------------------------------------------------------------

# Every long option of every --help is in the manual and is completed, and nothing else is.
manual_is_true() {
	local command options
	for command in $commands; do
		run 0 "$GORO" "$command" --help
		options=$(grep -oE -- '--[a-z-]+' "$out" | grep -vE -- '--(help|usage|version)$' | sort -u)
		# What is laid out in columns must fit, or the terminal's edge takes it apart.
		ARGP_HELP_FMT=rmargin=1000 "$GORO" "$command" --help | sed '1,/corresponding short/d' |
			grep -E '.{79}' && fail "$command --help has lines that are too long"
		sed -n "/^\.SS $command /,/^\.S[SH] /p" "$MANUAL" | sed 's/\\-/-/g' >"$scratch/section"
		[ -s "$scratch/section" ] || fail "$command is not in the manual"
		for option in $options; do
			[ "$option" = --for ] && [ "$command" != leaks ] && continue
			has "$scratch/section" "$option"
		done
		same "$(bash -c '. "$1"; _goro_options "$2"' - "$COMPLETION" "$command" | tr ' ' '\n' | sort -u)" \
			"$(grep -oE -- '^  +(-[a-zA-Z?], +)?--[a-z-]+' "$out" | grep -oE -- '--[a-z-]+' |
				grep -vE -- '--(usage|version)$' | sort -u)"
	done
	for status in 0 2 3 4 5 6 23 124 126 127; do
		matches "$MANUAL" "^\.B $status$"
	done
}

"$1"
