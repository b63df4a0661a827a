#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The real gotop in a real terminal (tmux) against a real goro program, as a user would do it.
#
#   tmux_test.sh GOTOP LEAKY SCRATCH
set -u
gotop=$1 leaky=$2 scratch=$3
command -v tmux >/dev/null || { echo "no tmux here"; exit 77; }
export LC_ALL=C.UTF-8 TMPDIR=$scratch
unset TMUX NO_COLOR COLUMNS LINES
mkdir -p "$scratch" && rm -f "$scratch"/gotop-*

socket=goro-test-$$
targets=()
t() { tmux -L "$socket" -f /dev/null "$@"; }
cleanup() {
	t kill-server 2>/dev/null
	[ ${#targets[@]} -eq 0 ] || kill -9 "${targets[@]}" 2>/dev/null
}
trap cleanup EXIT

screen() { t capture-pane -p -t main; }
fail() {
	echo "FAILED: $*"
	screen
	exit 1
}

# until_ok WHAT COMMAND... - poll until it succeeds, for 30 seconds at most.
until_ok() {
	local what=$1 deadline=$((SECONDS + 30))
	shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || fail "$what"
		sleep 0.05
	done
}
on_screen() { screen | grep -qE -- "$1"; }
not_on_screen() { ! on_screen "$1"; }
see() { until_ok "never saw: $1" on_screen "$1"; }
gone() { until_ok "still there: $1" not_on_screen "$1"; }
key() { t send-keys -t main "$@"; }
line() { key -l "$1"; key Enter; }
resize() { t resize-window -t main -x "$1" -y "$2"; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }
tmux_says() { [ "$(t display-message -p -t main "$1")" = "$2" ]; }

# The terminal is as it was: main screen, cursor, no mouse, the modes of the line discipline.
restored() {
	see 'ready>$'
	until_ok "alternate screen is still on" tmux_says '#{alternate_on}' 0
	until_ok "the cursor is hidden" tmux_says '#{cursor_flag}' 1
	until_ok "the mouse is still taken" tmux_says '#{mouse_any_flag}' 0
	line "stty -g >$scratch/stty.now; clear"
	until_ok "stty modes were not restored" cmp -s "$scratch/stty.before" "$scratch/stty.now"
	rm "$scratch/stty.now"
}
ready() { see 'ready>$'; }
quit_status() {
	line "echo status=\$?"
	see "status=$1\$"
	line clear
}

t new-session -d -s main -x 100 -y 30 "PS1='ready>' exec bash --norc --noprofile -i"
ready
line "stty -g >$scratch/stty.before; clear"
until_ok "no stty" test -s "$scratch/stty.before"

"$leaky" 300 600 >/dev/null &
target=$!
targets+=("$target")

echo "- groups, members, one goroutine with its source"
line "$gotop $target; echo left=\$?"
see '\[1 Groups\]'
see "leaky\[$target\]"
see ' 300 .*leaky.c:[0-9]+ wait_for_answer'
see 'LIVE 1.0s'
until_ok "the mouse is not used" tmux_says '#{mouse_any_flag}' 1
key Enter
see '\[2 List\]'
see 'in: leaky.c:[0-9]+ wait_for_answer'
see '300 of 301 G'
key Enter
see 'chan receive'
see 'STACK [0-9]+ frame'
see '>>.*goro_chan_recv\(answer'

echo "- resize down and up, and too small"
resize 60 12
see '>>.*goro_chan_recv\(answer'
resize 50 10
see 'too small: gotop needs 60x12'
resize 80 24
see 'SOURCE leaky.c'
see 'WAITS FOR'
key Escape
see '\[2 List\]'
key Escape
see '\[1 Groups\]'

echo "- who waits for whom, and what is leaked"
key 3
see '\[3 Waits\]'
see 'channel 0x[0-9a-f]+, 0 of 0 buffered, made at '
see '1 chan receive  leaky.c:[0-9]+ wait_for_answer'
key Tab
see '\[4 Leaks\]'
see 'LEAKED [0-9,]+  LIKELY [0-9,]+  SUSPECT [0-9,]+ G'
key Tab
see '\[5 Profile\]'
see '(9[0-9]|100).[0-9] .*wait_for_answer'
key t
see '└─ \[chan receive\]'
key Tab
see '\[6 Sched\]'
see 'wait to run, [0-9.]+m?s: p50'
key 1
see '\[1 Groups\]'

echo "- keys, mouse, help, filter"
key F1
see 'EVERYWHERE'
key Escape
gone 'EVERYWHERE'
key F5
see 'by: stack'
key g
see 'by: state'
key g
see 'by: spawn'
key f
line 'state=sleep'
see 'filter: state=sleep'
gone 'wait_for_answer'
key '\'
see 'wait_for_answer'
key Z
see 'PAUSED'
key Z
see 'LIVE'
key Down
see '^> +1 .*main'
key -l $'\e[M \x28\x27' # a press in column 8 of row 7: the first group
see '^> +300'

echo "- a proof stays"
see 'ok +leaky.c'
key L
if grep -q '__[at]san_init' "$leaky"; then # its heap is all in use, for all that we know
	see 'nothing is leaked|reachability is unknown'
else
	see '300 goroutines are LEAKED; it was stopped for|reachability is unknown'
fi
if on_screen 'are LEAKED'; then
	resize 120 30 # the first line has room for how long the target is up
	see ' up [0-9]'
	up=$(screen | grep -oE 'up [0-9.]+[smh]+')
	key Down
	gone 'are LEAKED'
	gone "$up " # looks that prove nothing have come since
	see ' LEAKED +leaky.c:[0-9]+ wait_for_an'
	key Up
	see 'nothing that can still run has a pointer to it'
	resize 80 24
fi

echo "- suspend and go on"
key C-z
see 'Stopped'
ready
until_ok "alternate screen is still on" tmux_says '#{alternate_on}' 0
line fg
see '\[1 Groups\]'
key q
ready
restored

echo "- the target ends: its last data stay"
line "$gotop $target; echo left=\$?"
see 'LIVE'
kill -9 "$target"
wait "$target" 2>/dev/null
see 'ENDED'
see 'leaky.c:[0-9]+ wait_for_answer'
key F10
see 'left=0'
line clear
restored

echo "- killed, it restores the terminal"
"$leaky" 3 600 >/dev/null &
target=$!
targets+=("$target")
line "$gotop $target & fg >/dev/null; echo over"
see 'LIVE'
until_ok "no gotop" pgrep -f "^$gotop $target\$" >/dev/null
kill -TERM "$(pgrep -f "^$gotop $target\$")"
see 'over'
line clear
restored

echo "- picker"
line "$gotop"
see 'choose a target'
see 'COMMAND'
key / # other tests' programs may fill the screen
key -l "leaky 3 600"
see "^> *$target .*leaky 3 600"
key Enter
key Enter
see "leaky\[$target\]"
key Escape
see 'choose a target'
key C-c
ready
restored

echo "- a command of its own, left alone by q, ended by Q"
for how in q Q; do
	line "$gotop -- $leaky 5 600; echo left=\$?"
	see 'leaky\['
	see ' 5 .*wait_for_answer'
	child=$(screen | sed -n 's/.*leaky\[\([0-9]*\)\].*/\1/p')
	targets+=("$child")
	key $how
	see 'left=0'
	if [ $how = q ]; then
		see "goes on as process $child"
		kill -0 "$child" || fail "the command was ended by q"
		kill -9 "$child"
	else
		see "process $child. was ended"
		until_ok "the command goes on after Q" is_gone "$child"
	fi
	line clear
	restored
done

echo "- what cannot be watched, and how it says so"
line "$gotop 999999999; echo left=\$?"
see 'left=3'
line "clear; $gotop $$; echo left=\$?"
see 'left=5'
line "clear; $gotop -- /no/such/program; echo left=\$?"
see "cannot run '/no/such/program'"
see 'left=127'
line "clear; $gotop -- /etc/passwd; echo left=\$?"
see 'left=126'
line "clear; $gotop -s nonsense $target; echo left=\$?"
see "no column 'nonsense'"
see 'left=2'
line "clear; $gotop -F state= $target; echo left=\$?"
see 'column 7: a value is missing'
line "clear; TERM=dumb $gotop $target; echo left=\$?"
see 'SPAWN SITE'
see 'left=0'
line clear
restored

echo "- no colour with NO_COLOR, ASCII in the C locale"
colours() { t capture-pane -p -e -t main | grep -q $'\e\\[[0-9;]*3[0-7]m'; }
no_colours() { ! colours; }
line "$gotop $target"
see LIVE
until_ok "no colours" colours
key q
ready
line "clear; NO_COLOR=1 LC_ALL=C $gotop $target"
see LIVE
see '^\+- '
no_colours || fail "colours in spite of NO_COLOR"
screen | LC_ALL=C grep -q '[^ -~]' && fail "not only ASCII"
key q
restored

echo "- a terminal that has no other screen: what comes next is not written into a line of ours"
line "clear; TERM=vt100 $gotop $target; echo left=\$?"
see LIVE
see 'F10Quit'
key q
see '^left=0$'
line clear
echo "all seen"
