# SPDX-License-Identifier: MIT
# check.sh - what the tests of the commands share; bash sources it.
#
# It gives a scratch directory ($scratch, removed at the end), $out and $err of the last command,
# $pid of the last program that start_program or start_ready started (all are killed at the end),
# and words to say what is expected. Nothing waits for a fixed time: eventually() polls, for up to a
# minute.
# shellcheck shell=bash
set -uo pipefail

scratch=$(mktemp -d)
export TMPDIR=$scratch/tmp
mkdir "$TMPDIR"
out=$scratch/out
err=$scratch/err
shown=("$out" "$err") # what fail() prints, besides its words
started=()
pid=

finish() {
	local status=$?
	for pid in "${started[@]}"; do
		kill -CONT "$pid" 2>/dev/null
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$scratch"
	exit $status
}
trap finish EXIT

fail() {
	local file
	echo "FAIL: $*" >&2
	for file in "${shown[@]}"; do
		[ -s "$file" ] && tail -n 200 "$file" | sed "s|^|$(basename "$file"): |" >&2
	done
	exit 1
}

skip() {
	echo "skipped: $*" >&2
	exit 77
}

# run STATUS COMMAND.. - its output goes to $out and $err; fail on another status.
run() {
	local want=$1 got
	shift
	"$@" >"$out" 2>"$err" </dev/null
	got=$?
	[ "$got" = "$want" ] || fail "$*: status $got, not $want"
}

has() { # has FILE TEXT
	grep -qF -- "$2" "$1" || fail "no '$2' in $(basename "$1")"
}

hasnot() {
	! grep -qF -- "$2" "$1" || fail "'$2' in $(basename "$1")"
}

matches() { # matches FILE REGEX
	grep -qE -- "$2" "$1" || fail "nothing like '$2' in $(basename "$1")"
}

same() { # same GOT WANT
	[ "$1" = "$2" ] || fail "'$1' is not '$2'"
}

count() { # count FILE REGEX N
	same "$(grep -cE -- "$2" "$1")" "$3"
}

eventually() {
	for _ in $(seq 600); do
		"$@" && return 0
		sleep 0.1
	done
	fail "after a minute still not: $*"
}

# start_program COMMAND.. - in the background; its output goes to $scratch/program.
start_program() {
	: >"$scratch/program" # now, or what the last one said is taken for this one's word
	"$@" >"$scratch/program" 2>&1 &
	pid=$!
	started+=("$pid")
}

# start_ready COMMAND.. - in the background, with an input that does not end, until it has said
# "ready".
start_ready() {
	if [ ! -p "$scratch/input" ]; then
		mkfifo "$scratch/input"
		exec 3<>"$scratch/input"
	fi
	: >"$scratch/ready" # now, or what the last one said is taken for this one's word
	"$@" <"$scratch/input" >"$scratch/ready" &
	pid=$!
	started+=("$pid")
	eventually grep -q ready "$scratch/ready"
}

json() { # json PATH [FILE]
	"$JSON_GET" "$1" <"${2:-$out}" || fail "no JSON"
}
