#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# gotop without a terminal: plain text on stdout, words for people on stderr, exit statuses.
#
#   batch_test.sh GOTOP LEAKY SCRATCH NAMED ENDS FORBID
set -u
gotop=$1 leaky=$2 scratch=$3 named=$4 ends=$5 forbid=$6
export LC_ALL=C.UTF-8 TERM=xterm
unset COLUMNS NO_COLOR
mkdir -p "$scratch"
out=$scratch/out err=$scratch/err

"$leaky" 200 600 >/dev/null &
target=$!
"$named" >/dev/null &
named=$!
trap 'kill -9 $target $named 2>/dev/null' EXIT
for ((i = 0; i < 600; i++)); do
	"$gotop" -b "$target" 2>/dev/null | grep -q ' 200 .*wait_for_answer' && break
	sleep 0.05
done

# run STATUS ARG... - run gotop and expect an exit status.
run() {
	local want=$1 got
	shift
	timeout 120 "$gotop" "$@" >"$out" 2>"$err" </dev/null
	got=$?
	[ $got = "$want" ] || fail "gotop $*: status $got, not $want"
	last="gotop $*"
}
fail() {
	echo "FAILED: $*"
	cat "$out" "$err"
	exit 1
}
out() { grep -qE -- "$1" "$out" || fail "$last: stdout lacks $1"; }
no_out() { ! grep -qE -- "$1" "$out" || fail "$last: stdout has $1"; }
err() { grep -qE -- "$1" "$err" || fail "$last: stderr lacks $1"; }
quiet() { [ ! -s "$err" ] || fail "$last: stderr is not empty"; }
plain() { ! grep -q $'[\e\r]' "$out" || fail "$last: control codes in the output"; }

run 0 "$target"
quiet && plain
out "^gotop  leaky\[$target\]"
out '^G 201 '
out 'COUNTv .*SPAWN SITE$'
out ' 200 .*leaky.c:[0-9]+ wait_for_answer$'
out '  1 .*main$'
no_out '^>'

run 0 -b -n 3 -d 0.1 "$target"
[ "$(grep -c '^gotop  leaky' "$out")" = 3 ] || fail "not three of them"

run 0 -b --group none -s for- "$target"
[ "$(grep -c 'wait_for_answer$' "$out")" = 200 ] || fail "not every goroutine is listed"
out 'FOR\^'
run 0 -b --group state -F 'state=sleep' "$target"
out ' 1 .*sleep$'
no_out 'chan receive$'
run 0 -b --screen waits -s object "$target"
out 'WAITERS  OLDEST CHAIN  OBJECT\^$'
[ "$(grep -cE ' 1 .* - +channel 0x[0-9a-f]+, 0 of 0 buffered, made at leaky.c:[0-9]+ ask$' "$out")" = 200 ] ||
	fail "not every channel is listed"
run 0 -b --screen waits -F 'state=sleep' "$target"
no_out 'channel'
run 0 -b --screen leaks "$target"
out 'VERDICTv PROOF .* SPAWN SITE$'
run 0 -b -n 2 -d 0.1 --screen sched "$target"
out '^   P\^ STATE    QUEUE   SWITCH/S     PARK/S .* STEAL/S  SPIN/S  RETAKE/S '
out '^    0 (idle|running) '
out 'wait to run, all: p50 [0-9.]+[num]?s  p99'
out '^. < +[0-9.]+[num]?s +[0-9,]+ █'
run 0 -b -d 0.3 --screen profile --profile offcpu "$target"
out 'SELF%v  TOTAL%       AVG LINE +FUNCTION$'
out '9[0-9]\.[0-9] +9[0-9]\.[0-9] +[12][0-9]{2}\.[0-9]{2} leaky.c:[0-9]+ +wait_for_answer$'
run 2 --profile heap "$target"
err "one of wall offcpu cpu, not 'heap'"
run 2 --screen nonsense "$target"
err "^gotop: --screen is one of groups list waits leaks.*, not 'nonsense'"
run 0 -b --group stack "$target"
out 'leaky.c:[0-9]+ wait_for_answer$'
run 0 -b --ascii "$target"
! LC_ALL=C grep -q '[^ -~]' "$out" || fail "not only ASCII"
COLUMNS=70 run 0 -b "$target"
[ "$(wc -L <"$out")" -le 70 ] || fail "wider than COLUMNS"
run 0 -b
out "$target .*leaky 200 600\$"

# Names and labels have a column where there are any.
no_out 'NAME'
for ((i = 0; i < 600; i++)); do
	"$gotop" -b --screen list "$named" 2>/dev/null | grep -q 'customer=' && break
	sleep 0.05
done
COLUMNS=130 run 0 -b --screen list -s name "$named"
out ' VERDICT  NAME\^ +WHERE$'
[ "$(grep -oE ' ok +(\]|parser|customer)' "$out" | tr -d '\n ')" = "ok]okparserokcustomer" ] ||
	fail "not by name"
out ' parser customer=acm'

# One that stands still as a whole is not alive to look at.
kill -STOP "$target"
for ((i = 0; i < 600; i++)); do
	"$gotop" -b "$target" >"$out" 2>"$err"
	grep -q STOPPED "$out" && break
	sleep 0.05
done
out '^gotop  leaky.*  STOPPED  '
kill -CONT "$target"

# One that becomes another program has another name, and other memory: also where that is read from
# its file.
for through in "" "$forbid process_vm_readv"; do
	rm -f "$scratch/input" "$scratch/look"
	mkfifo "$scratch/input"
	exec 8<>"$scratch/input"
	"$ends" then "$leaky" 7 600 <"$scratch/input" >/dev/null 8>&- &
	other=$!
	trap 'kill -9 $target $named $other 2>/dev/null' EXIT
	for ((i = 0; i < 600; i++)); do
		"$gotop" -b "$other" >"$out" 2>&1 && break
		sleep 0.05
	done
	# shellcheck disable=SC2086
	COLUMNS=100 timeout 120 $through "$gotop" -b -n 0 -d 0.1 "$other" >"$scratch/look" 2>"$err" 8>&- &
	look=$!
	for ((i = 0; i < 600; i++)); do
		grep -q '^gotop  ends' "$scratch/look" && break
		sleep 0.05
	done
	exec 8>&-
	for ((i = 0; i < 600; i++)); do
		grep -qE ' 7 .* [1-9][0-9.]*[KM] ok .*wait_for_answer$' "$scratch/look" && break
		sleep 0.05
	done
	kill -9 "$other"
	wait "$look"
	tail -n 20 "$scratch/look" >"$out"
	last="gotop -b -n 0 of one that becomes another"
	out '^gotop  leaky\['
	out ' 7 .* [1-9][0-9.]*[KM] ok .*wait_for_answer$'
done

# No room for it.
for arguments in "-b $target" -b; do
	# shellcheck disable=SC2086
	"$gotop" $arguments >/dev/full 2>"$err"
	[ $? = 6 ] || fail "gotop $arguments: not status 6 where nothing can be written"
	err '^gotop: cannot write the output: No space left on device$'
done

run 3 999999999
err 999999999
run 3 -b no-such-process-name
err no-such-process-name
run 5 -b $$
run 2 -b 1 2
err 'one TARGET only'
run 2 ''
run 2 -d 0 "$target"
err '0.1 to 60'
run 2 -d nan "$target"
run 2 -n -1 "$target"
run 2 -n x "$target"
run 2 -s x "$target"
err "no column 'x'"
run 2 -F 'for>' "$target"
err 'a value is missing'
run 2 --group x "$target"
run 2 --color x "$target"
run 2 --no-such-option
run 2 "$target" -- true
run 127 -- /no/such/program
err "cannot run '/no/such/program': No such file"
run 126 -- /etc/passwd
run 0 --help
out 'Exit status'
run 0 -V
out '^gotop 0'

# A command: it is watched, its output does not mix with ours, and it goes on. How many looks it takes
# until it has begun is the machine's affair.
for looks in 2 20 200; do
	run 0 -n $looks -d 0.2 -- "$leaky" 7 600
	err 'goes on as process [0-9]+'
	child=$(sed -n 's/.*goes on as process \([0-9]*\)/\1/p' "$err")
	kill -9 "$child" || fail "the command did not go on"
	grep -q ' 7 .*wait_for_answer$' "$out" && break
done
out ' 7 .*wait_for_answer$'
run 3 -- sleep 0.2
err 'sleep ended with status 0'

# The target ends in the middle.
: >"$out"
(
	for ((i = 0; i < 1200; i++)); do
		grep -q '^G 201 ' "$out" && break
		sleep 0.1
	done
	kill -9 "$target"
) &
run 3 -b -n 0 -d 0.1 "$target"
out '^G 201 '
err "$target"

# Nobody reads: no endless loop.
"$leaky" 2 600 >/dev/null &
target=$!
timeout 120 "$gotop" -b -n 0 -d 0.1 "$target" 2>/dev/null | head -1 >"$out"
[ "${PIPESTATUS[0]}" != 124 ] || fail "it goes on although nobody reads"
echo "all seen"
