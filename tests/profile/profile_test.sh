#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# goro profile and its formats, as their users see them: each function here is a test of its own.
#
#   profile_test.sh CASE     with GORO, BUSY and ABBA (programs), CHECKS (this directory) set
#
# A machine may forbid perf events or ptrace, or lack a program that reads a format: that case is
# skipped (77) and says so. Shares are compared, not times, because the machine may be busy.
# shellcheck source=tests/check.sh
source "$(dirname "${BASH_SOURCE[0]}")/../check.sh"

start() {
	start_program "$BUSY"
	eventually grep -q ready "$scratch/program"
}

# The numbers of all folded stacks that match, added up.
weight() { # weight REGEX
	awk -v re="$1" '$0 ~ re { n += $NF } END { printf "%.0f\n", n }' "$out"
}

# between LOW VALUE HIGH WHAT, also fractions
between() {
	awk -v l="$1" -v v="$2" -v h="$3" 'BEGIN { exit !(l <= v && v <= h) }' ||
		fail "$4: $2 is not in $1 .. $3"
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { print b ? a / b : 1e9 }'
}

# Processor time of the program in ns, as the kernel counts it.
used() {
	awk '{ n += $1 } END { printf "%.0f\n", n }' /proc/"$pid"/task/*/schedstat
}

# ---- what is measured ----------------------------------------------------------------------------

# Where others left the program hardly any time there is too little to compare shares of: one sample is a
# hundredth at the most. And where the sampler missed more than one time in ten, as it says itself.
too_busy() {
	local taken missed
	taken=$(sed -nE 's/.* ([0-9]+) samples.*/\1/p' "$err")
	missed=$(sed -nE 's/.* ([0-9]+) missed.*/\1/p' "$err")
	[ "$taken" -lt 100 ] || [ $((${missed:-0} * 10)) -gt "$taken" ]
}

# heavy() does three times the work of light(), and there is nothing else to speak of.
cpu_by() { # cpu_by WAY [CALL that is forbidden]
	local before after sum try
	start
	for try in 1 2 3; do
		before=$(used)
		${2:+"$FORBID" "$2"} "$GORO" profile --how "$1" -r 200 -d 3 -f folded "$pid" \
			>"$out" 2>"$err" </dev/null
		case $? in
		0) ;;
		4 | 77) skip "$(cat "$err")" ;;
		*) fail "status $?" ;;
		esac
		after=$(used)
		too_busy || break
		[ $try != 3 ] || skip "the machine is too busy: $(cat "$err")"
	done
	sum=$(weight ".")
	matches "$err" "by (perf events|ptrace)"
	between 1.5 "$(ratio "$(weight ';heavy')" "$(weight ';light')")" 7 "heavy over light"
	between 0.8 "$(ratio "$(weight 'goro_entry;goro_main;crunch')" "$sum")" 1.01 "the cruncher's share"
	# The samples weigh what the kernel counted: nothing is made up or lost.
	between 0.6 "$(ratio "$sum" "$((after - before))")" 1.05 "processor time found"
}

cpu_by_perf() { cpu_by perf; }
cpu_by_perf_of_threads() { cpu_by perf perf_event_of_all; }
cpu_by_ptrace() { cpu_by ptrace; }

# Where perf events are forbidden, as in most containers, ptrace takes their place unasked.
forbidden() { # forbidden CALLS COMMAND.. - its status
	"$FORBID" "$@" >"$out" 2>"$err" </dev/null
	local status=$?
	[ $status != 77 ] || skip "$(cat "$err")"
	return $status
}

cpu_without_perf() {
	local status
	start
	forbidden perf_event_open "$GORO" profile -r 200 -d 2 -f folded "$pid"
	status=$?
	[ $status != 4 ] || skip "ptrace is not permitted here either: $(cat "$err")"
	same $status 0
	has "$err" "by ptrace"
	matches "$out" '(^|;)(heavy|light|crunch)'
	forbidden perf_event_open "$GORO" profile --how perf -d 1 "$pid"
	same $? 4
	matches "$err" '^goro: profile: perf events are not permitted here: .*perf_event_paranoid'
	forbidden perf_event_open,ptrace "$GORO" profile -d 1 "$pid"
	same $? 4
	same "$(wc -l <"$err")" 1
}

is_read() {
	"$GORO" dump "$pid" >"$out" 2>"$err"
}

# What others compute is none of its time, also where processors are watched.
cpu_of_others() {
	local taken
	start
	start_program "$ABBA"
	eventually is_read
	"$GORO" profile --how perf -r 200 -d 2 -f folded "$pid" >"$out" 2>"$err" </dev/null
	case $? in
	0) ;;
	4) skip "$(cat "$err")" ;;
	*) fail "status $?" ;;
	esac
	! grep -qE 'heavy|light|crunch' "$out" || fail "it has what another program computed"
	taken=$(sed -nE 's/.* ([0-9]+) samples? .*/\1/p' "$err")
	[ "$taken" -lt 20 ] || fail "$taken samples of a program that waits"
}

# Threads that the program made: one is none of the runtime's, one is a goroutine, and one becomes
# one while we look.
threads_by() { # threads_by WAY
	local profile
	find_go
	mkfifo "$scratch/line"
	exec 4<>"$scratch/line"
	"$THREADS" <&4 >"$scratch/program" &
	pid=$!
	started+=("$pid")
	eventually grep -q ready "$scratch/program"
	"$GORO" profile --how "$1" -r 200 -d 4 -o "$scratch/cpu.pb.gz" "$pid" 2>"$err" </dev/null &
	profile=$!
	started+=("$profile")
	sleep 1 # some samples of the one that is none yet
	echo >&4
	wait "$profile"
	case $? in
	0) ;;
	4) skip "$(cat "$err")" ;;
	*) fail "the profile ended otherwise" ;;
	esac
	run 0 "$go" tool pprof -traces "$scratch/cpu.pb.gz"
	# Of each trace: whose it is, then its functions.
	awk '/^-+\+-*$/ { print line; line = ""; next } { line = line " " $0 } END { print line }' \
		"$out" | tr -s ' \t' ' ' >"$scratch/traces"
	shown+=("$scratch/traces")
	matches "$scratch/traces" ' name: guest .*state: running .*compute .*guest'
	matches "$scratch/traces" ' name: late .*state: running .*compute .*late'
	matches "$scratch/traces" ' state: thread .*compute .*late'
	matches "$scratch/traces" ' state: thread .*compute .*stranger'
	! grep -qE ' (name|goroutine): .*stranger' "$scratch/traces" || fail "the stranger is a goroutine"
}

threads_by_perf() { threads_by perf; }
threads_by_ptrace() { threads_by ptrace; }

wall() {
	start
	run 0 "$GORO" profile -m wall -d 1 -f folded "$pid"
	# Each look sees all of them, so the times have exact proportions.
	between 19.999 "$(ratio "$(weight 'wait_for_never;\[chan receive\]')" \
		"$(weight ';main;\[sleep\]')")" 20.001 "20 waiters over main"
	matches "$out" '^crunch;.*\[(running|runnable)\] '
	hasnot "$out" goro_park
}

offcpu() {
	start
	run 0 "$GORO" profile -m offcpu -d 1 -f folded "$pid"
	hasnot "$out" '[running]'
	between 1 "$(weight 'contender;hold;\[sync.Mutex.Lock\]')" 1e13 "time at the mutex"
	between 1 "$(weight 'spawner;\[sleep\]')" 1e13 "time asleep"
	# How often they waited is counted by the runtime, not by our looks: at 5 looks a second we
	# still see hundreds of waits.
	run 0 "$GORO" profile -m offcpu -r 5 -d 2 -f speedscope "$pid"
	python3 "$CHECKS/counts.py" "$out" hold 50 || fail "too few waits"
}

spawn() {
	start
	run 0 "$GORO" profile -m spawn -d 1 -f folded "$pid"
	matches "$out" '^main;start_many;brief [0-9]+$'
	between 5 "$(ratio "$(weight ';start_many;brief')" "$(weight ';start_few;brief')")" 20 \
		"20 go statements over 2"
}

stack_bytes() {
	local page
	page=$(getconf PAGESIZE)
	start
	run 0 "$GORO" profile -m stack -f folded "$pid"
	between $((20 * page)) "$(weight 'wait_for_never')" $((60 * page)) "bytes of 20 stacks"
	has "$err" "1 look"
}

goroutines() {
	start
	run 0 "$GORO" profile -m goroutine -f folded "$pid"
	matches "$out" '^waiter;wait_for_never;\[chan receive\] 20$'
	cp "$out" "$scratch/profile"
	run 0 "$GORO" dump --format folded "$pid"
	matches "$out" '^waiter;wait_for_never;\[chan receive\] 20$'
}

# ---- when it goes otherwise ----------------------------------------------------------------------

# It cannot look ten thousand times a second at everything, and says how often it did not.
late_is_said() {
	start
	run 0 "$GORO" profile -m wall -r 10000 -d 1 -f folded "$pid"
	matches "$err" "; [0-9]+ missed: "
}

catches_sigint() {
	local mask
	mask=$(awk '/^SigCgt/ { print $2 }' "/proc/$1/status" 2>/dev/null) || return 1
	[ -n "$mask" ] && ((0x${mask: -2} & 2))
}

ctrl_c_writes() {
	local profile
	start
	# Without job control a background command ignores SIGINT; env undoes that.
	env --default-signal=INT "$GORO" profile -m wall -d 0 -f folded -o "$out" "$pid" 2>"$err" &
	profile=$!
	started+=("$profile")
	eventually catches_sigint "$profile"
	sleep 0.5 # some looks
	kill -INT "$profile"
	wait "$profile" || fail "status $?"
	matches "$out" 'wait_for_never;\[chan receive\] '
	matches "$err" "^goro: profile: [0-9]+ looks in "
}

target_ends() {
	local profile
	start
	"$GORO" profile -m wall -d 60 -f folded -o "$out" "$pid" 2>"$err" &
	profile=$!
	started+=("$profile")
	sleep 1 # some looks
	kill -KILL "$pid"
	wait "$profile" || fail "status $?"
	has "$err" "; the process has ended"
	matches "$out" 'wait_for_never;\[chan receive\] '
}

# Killed in the middle of a sample, as nobody could clean up after, ptrace leaves nothing behind.
killed_observer() {
	local profile before
	start
	run 0 "$GORO" profile --how ptrace -r 1000 -d 500ms -f folded "$pid"
	[ -s "$out" ] || skip "no sample by ptrace: it is not permitted here"
	for i in $(seq 8); do
		"$GORO" profile --how ptrace -r 10000 -d 0 -f folded -o /dev/null "$pid" 2>/dev/null &
		profile=$!
		started+=("$profile")
		sleep "0.$((5 + i % 4))" # anywhere in its work
		kill -KILL "$profile"
		wait "$profile" 2>/dev/null
	done
	before=$(used)
	has_run_on() { [ "$(used)" -gt $((before + 20000000)) ]; }
	eventually has_run_on
	! grep -qE '^State:[[:space:]]+[tT]' /proc/"$pid"/task/*/status ||
		fail "a thread was left stopped"
	grep -hqE '^TracerPid:[[:space:]]+0' "/proc/$pid/status" || fail "it is still traced"
}

usage_errors() {
	local text
	usage() {
		text=$1
		shift
		run 2 "$GORO" profile "$@"
		[ "$(cat "$err")" = "goro: profile: $text" ] || fail "not '$text'"
	}
	usage "which process? Give a pid or a name"
	usage "the mode is cpu, wall, offcpu, spawn, stack, goroutine or heap, not 'gpu'" -m gpu 1
	usage "the rate is 1 to 10000 a second, not '0'" -r 0 1
	usage "a duration is like 10, 500ms or 1m, not 'x'" -d x 1
	usage "the format is pprof, folded, svg, speedscope or perfetto, not 'gif'" -f gif 1
	usage "the way is auto, perf or ptrace, not 'gdb'" -H gdb 1
	usage "perfetto shows who ran when, and mode spawn does not know: use -m cpu or wall" \
		-m spawn -f perfetto 1
	usage "cannot write /nowhere/x: No such file or directory" -o /nowhere/x 1
	run 3 "$GORO" profile 99999999
	start
	"$GORO" profile -m stack -f folded "$pid" >/dev/full 2>"$err"
	[ $? = 6 ] || fail "a full disk is not told"
	has "$err" "cannot write the output"
	# What was in the file stays until there is something for its place.
	mkdir "$scratch/kept"
	echo good >"$scratch/kept/file"
	run 3 "$GORO" profile -m stack -f svg -o "$scratch/kept/file" 99999999
	[ "$(cat "$scratch/kept/file")" = good ] || fail "a file is lost to a profile that cannot be"
	for file in file new; do
		(
			trap '' XFSZ
			ulimit -f 1
			run 6 "$GORO" profile -m stack -f svg -o "$scratch/kept/$file" "$pid" 2>/dev/null
		) || exit 1
	done
	[ "$(cat "$scratch/kept/file")" = good ] || fail "half a profile in the place of a file"
	[ "$(ls "$scratch/kept")" = file ] || fail "something is left beside it"
	ln -s file "$scratch/kept/link"
	run 0 "$GORO" profile -m stack -f svg -o "$scratch/kept/link" "$pid"
	grep -q '<svg' "$scratch/kept/file" || fail "nothing is in the file"
	[ "$(ls "$scratch/kept" | wc -l)" = 2 ] || fail "something is left beside it"
	(cd "$scratch/kept" && "$GORO" profile -m stack -f svg -o - "$pid" 2>/dev/null) >"$out"
	grep -q '<svg' "$out" || fail "nothing is on the standard output"
	"$GORO" record -d 0 -o - "$pid" 2>/dev/null | cat >"$scratch/piped"
	run 0 "$GORO" dump "$scratch/piped"
	[ ! -e "$scratch/kept/-" ] || fail "there is a file named -"
}

# A core file has one moment: stacks and goroutines, but no time that goes by.
core_file() {
	command -v gcore >/dev/null || skip "no gcore: apt-get install gdb"
	start
	gcore -a -o "$scratch/core" "$pid" >/dev/null 2>&1 || skip "gcore may not trace here"
	run 5 "$GORO" profile -m wall -f folded "$scratch/core.$pid"
	has "$err" "is not a live process: nothing moves in it"
	run 0 "$GORO" profile -m goroutine -f folded "$scratch/core.$pid"
	matches "$out" '\[chan receive\] 20$'
}

# ---- who reads it --------------------------------------------------------------------------------

find_go() {
	for go in go /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
		command -v "$go" >/dev/null && return
	done
	skip "no go: apt-get install golang-go"
}

pprof() {
	find_go
	start
	run 0 "$GORO" profile -d 2 -o "$scratch/cpu.pb.gz" "$pid"
	run 0 "$go" tool pprof -top -cum "$scratch/cpu.pb.gz"
	has "$out" "Type: cpu"
	matches "$out" ' crunch$'
	matches "$out" ' heavy$'
	run 0 "$go" tool pprof -traces "$scratch/cpu.pb.gz"
	matches "$out" '^ +name: +cruncher$'
	matches "$out" '^ +shard: +7$'
	matches "$out" '^ +spawn: +main at busy.c:[0-9]+$'
	matches "$out" '^ +state: +running$'
	local id
	id=$("$GORO" dump --format go "$pid" | awk '/^goroutine .*\[runn/ { print $2; exit }')
	matches "$out" "^ *goroutine: +$id$"
	# A function that the compiler put into another one is there all the same.
	matches "$out" 'cpu_ns \(inline\)$'

	# Callers, one label's share, and what is the same in two profiles.
	run 0 "$go" tool pprof -peek '^heavy$' "$scratch/cpu.pb.gz"
	matches "$out" '100% \| +crunch$'
	run 0 "$go" tool pprof -top -tagfocus=name=cruncher "$scratch/cpu.pb.gz"
	matches "$out" ' heavy$'
	run 0 "$go" tool pprof -top -tagignore=name=cruncher "$scratch/cpu.pb.gz"
	hasnot "$out" ' heavy'
	run 0 "$go" tool pprof -top -base "$scratch/cpu.pb.gz" "$scratch/cpu.pb.gz"
	matches "$out" '^Showing nodes accounting for 0, 0% of '

	run 0 "$GORO" profile -m offcpu -d 500ms -o "$scratch/off.pb.gz" "$pid"
	run 0 "$go" tool pprof -tags "$scratch/off.pb.gz"
	has "$out" "chan receive"
	has "$out" "sync.Mutex.Lock"
	run 0 "$go" tool pprof -sample_index=waits -top "$scratch/off.pb.gz"
	matches "$out" ' hold$'

	run 0 "$GORO" profile -m stack -o "$scratch/stack.pb.gz" "$pid"
	run 0 "$go" tool pprof -sample_index=used -top "$scratch/stack.pb.gz"
	has "$out" "wait_for_never"

	"$GORO" dump --format pprof "$pid" >"$scratch/g.pb.gz" || fail "no dump"
	run 0 "$go" tool pprof -top "$scratch/g.pb.gz"
	matches "$out" '^ +20 .* wait_for_never$'
}

# What is proved, and only that, under the name of Go's own profile.
pprof_leaks() {
	find_go
	start_program "$ABBA"
	eventually leaks_are 2
	"$GORO" leaks --no-stop --format pprof "$pid" >"$scratch/leaks.pb.gz" 2>"$err"
	same $? 23
	run 0 "$go" tool pprof -traces "$scratch/leaks.pb.gz"
	has "$out" "Type: goroutineleak"
	matches "$out" '^ +1 +first$'
	matches "$out" '^ +1 +second$'
	count "$out" '^ +1 ' 2
	echo 'func:first' >"$scratch/rules"
	run 0 "$GORO" leaks --no-stop --suppress "$scratch/rules" --format pprof "$pid"
	cp "$out" "$scratch/none.pb.gz"
	run 0 "$go" tool pprof -traces "$scratch/none.pb.gz"
	count "$out" '^ +1 ' 0
}

leaks_are() {
	"$GORO" leaks --no-stop "$pid" >"$out" 2>"$err"
	grep -q "$1 leaked" "$out"
}

# The mapping's build id is the program's, so that other tools find its symbols.
pprof_build_id() {
	find_go
	start
	run 0 "$GORO" profile -m stack -o "$scratch/p.pb.gz" "$pid"
	run 0 readelf -n "$BUSY"
	local id
	id=$(sed -n 's/.*Build ID: //p' "$out")
	[ -n "$id" ] || skip "the program has no build id"
	run 0 "$go" tool pprof -raw "$scratch/p.pb.gz"
	matches "$out" "^1: 0x.* $BUSY $id "
}

speedscope() {
	python3 -c 'import jsonschema' 2>/dev/null || skip "no python3-jsonschema"
	command -v npm >/dev/null || skip "no npm to get speedscope's schema by"
	(cd "$scratch" && timeout 60 npm pack --silent speedscope@1 >/dev/null 2>&1 &&
		tar xzf speedscope-*.tgz) || skip "no network to get speedscope's schema by"
	start
	for mode in cpu wall offcpu stack; do
		run 0 "$GORO" profile -m $mode -d 500ms -o "$scratch/x.speedscope.json" "$pid"
		run 0 python3 "$CHECKS/speedscope.py" \
			"$scratch"/package/dist/release/file-format-schema.json "$scratch/x.speedscope.json"
	done
}

perfetto() {
	start
	run 0 "$GORO" profile -m wall -d 1 -o "$scratch/x.trace.json" "$pid"
	run 0 python3 "$CHECKS/trace.py" "$scratch/x.trace.json" "$pid" crunch
}

# Who never lets go has no P after a while.
perfetto_without_p() {
	runs_on() {
		"$GORO" sched "$pid" >"$out" 2>"$err" && grep -q "P taken away" "$out"
	}
	start_program "$ENDLESS"
	eventually runs_on
	run 0 "$GORO" profile -m wall -d 500ms -o "$scratch/x.trace.json" "$pid"
	run 0 python3 "$CHECKS/trace.py" "$scratch/x.trace.json" "$pid" endless
}

# The picture's script zooms and searches, and what a browser shows is not empty.
svg() {
	local browser
	for browser in chromium chromium-browser google-chrome; do
		command -v $browser >/dev/null && break
	done
	start
	run 0 "$GORO" profile -m wall -d 500ms -o "$scratch/x.svg" "$pid"
	python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "$scratch/x.svg" ||
		fail "no XML"
	command -v $browser >/dev/null || skip "no browser: apt-get install chromium"
	python3 "$CHECKS/flame.py" "$scratch/x.svg" >"$scratch/x.html"
	run 0 timeout 120 $browser --headless --no-sandbox --disable-gpu --disable-background-networking \
		--user-data-dir="$scratch/browser" --dump-dom "file://$scratch/x.html"
	has "$out" "zoomed: waiter is 1180 wide, crunch is hidden"
	has "$out" "back: crunch is shown"
	matches "$out" "search: matched [5-9][0-9]\.[0-9]%"
	has "$out" "no regular expression"
	# As a reader has it on the screen.
	run 0 timeout 120 $browser --headless --no-sandbox --disable-gpu --disable-background-networking \
		--user-data-dir="$scratch/browser" --hide-scrollbars --force-device-scale-factor=1 \
		--window-size=1200,900 --screenshot="$scratch/x.png" "file://$scratch/x.svg"
	command -v pngtopnm >/dev/null || skip "no netpbm, which reads the picture"
	pngtopnm "$scratch/x.png" >"$scratch/x.ppm"
	run 0 python3 "$CHECKS/picture.py" "$scratch/x.svg" "$scratch/x.ppm"
}

"$1"
