#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# goro metrics as its users see it: each function here is a test of its own.
#
#   metrics_test.sh CASE     with GORO, BUSY and ABBA (programs), EXAMPLES (Prometheus's) set
# shellcheck source=tests/check.sh
source "$(dirname "${BASH_SOURCE[0]}")/../check.sh"

shown+=("$scratch/prometheus.log")

start() { # start PROGRAM - in the background; its id is $pid
	start_program "$1"
	eventually looks_into
}

looks_into() {
	"$GORO" metrics "$pid" >"$out" 2>"$err"
}

# The value of a sample.
value() { # value 'NAME{LABELS}' [FILE]
	awk -v name="$1" 'index($0, name " ") == 1 { print $NF; exit }' "${2:-$out}"
}

goroutines_are() {
	looks_into && [ "$(value go_goroutines)" -ge "$1" ]
}

leaked_are() {
	looks_into && [ "$(value 'goro_verdict_goroutines{verdict="leaked"}')" = "$1" ]
}

serve() { # serve ADDRESS - the id of goro is $server, its address $url
	"$GORO" metrics --listen "$1" "$pid" >"$out" 2>"$err" &
	server=$!
	started+=("$server")
	eventually grep -q '^goro: metrics: http' "$err"
	url=$(sed -n 's/^goro: metrics: \(http.*\)/\1/p' "$err")
}

find_python() {
	python3 -c 'import urllib.request' 2>/dev/null || skip "no python3"
}

# get URL [METHOD] [ACCEPT] - the body to $out, the status and type to $scratch/head
get() {
	python3 - "$@" >"$out" 2>"$scratch/head" <<'PY' || fail "no answer from $1"
import sys, urllib.error, urllib.request
url, method, accept = (sys.argv[1:] + ["GET", "*/*"][len(sys.argv) - 2:])[:3]
request = urllib.request.Request(url, method=method, headers={"Accept": accept})
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.headers["Content-Type"], file=sys.stderr)
sys.stdout.write(answer.read().decode())
PY
}

# ---- cases ---------------------------------------------------------------------------------------

text() {
	start "$BUSY"
	eventually goroutines_are 24
	matches "$out" '^goro_goroutines\{state="chan receive"\} 20$'
	matches "$out" '^goro_spawn_site_goroutines\{site="main at busy.c:[0-9]+"\} 20$'
	matches "$out" '^go_sched_gomaxprocs_threads [1-9]'
	matches "$out" '^goro_started_total [1-9]'
	[ "$(tail -1 "$out")" = "# EOF" ] || fail "it does not end in # EOF"
	# What is sampled twice is refused as a whole.
	[ -z "$(grep -v '^#' "$out" | sed 's/ [^ ]*$//' | sort | uniq -d)" ] || fail "doubles"
	local before
	before=$(value goro_started_total)
	looks_into
	[ "$(value goro_started_total)" -ge "$before" ] || fail "a counter went down"

	run 0 "$GORO" metrics --top 1 "$pid"
	[ "$(grep -c '^goro_spawn_site_goroutines{' "$out")" = 2 ] || fail "not the top one and others"
	matches "$out" '^goro_spawn_site_goroutines\{site="other"\} [1-9]'
}

server() {
	find_python
	start "$BUSY"
	serve 0
	[[ $url == http://127.0.0.1:*/metrics ]] || fail "not on the loopback interface: $url"
	get "$url"
	matches "$scratch/head" "^200 application/openmetrics-text; version=1.0.0; charset=utf-8$"
	has "$out" "# EOF"
	get "$url" GET "text/plain;version=0.0.4"
	matches "$scratch/head" "^200 text/plain; version=0.0.4; charset=utf-8$"
	matches "$out" "^# TYPE goro_started_total counter$"
	if command -v promtool >/dev/null; then
		promtool check metrics <"$out" 2>"$err" || fail "promtool complains"
	fi
	get "${url%/metrics}/"
	has "$out" 'href="/metrics"'
	get "${url%metrics}else"
	matches "$scratch/head" "^404 "
	get "$url" POST
	matches "$scratch/head" "^405 "
	# Many at once get an answer each.
	python3 - "$url" <<'PY' || fail "not everybody got an answer"
import sys, threading, urllib.request
answers = []
def ask():
    answers.append(urllib.request.urlopen(sys.argv[1], timeout=60).read().endswith(b"# EOF\n"))
threads = [threading.Thread(target=ask) for _ in range(16)]
for t in threads: t.start()
for t in threads: t.join()
sys.exit(answers != [True] * 16)
PY
	# Those who never end their request are in nobody's way.
	python3 - "$url" <<'PY' || fail "hundreds of slow clients keep others out"
import socket, sys, urllib.parse, urllib.request
at = urllib.parse.urlsplit(sys.argv[1])
slow = []
for _ in range(300):
    s = socket.create_connection((at.hostname, at.port))
    s.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
    slow.append(s)
answer = urllib.request.urlopen(sys.argv[1], timeout=8).read()
sys.exit(not answer.endswith(b"# EOF\n"))
PY
	kill -TERM "$server"
	wait "$server" || fail "status $? after SIGTERM"
}

server_ends() {
	start "$BUSY"
	serve 0
	kill -KILL "$pid"
	wait "$server"
	[ $? = 3 ] || fail "status is not 3 when the process has ended"
	has "$err" "goro: metrics: process $pid has ended"
}

usage_errors() {
	usage() {
		local text=$1
		shift
		run 2 "$GORO" metrics "$@"
		[ "$(cat "$err")" = "goro: metrics: $text" ] || fail "not '$text'"
	}
	usage "which process? Give a pid or a name"
	usage "--top takes 0 to 10000, not 'x'" --top x 1
	start "$BUSY"
	for address in x :x 1:2:3 127.0.0.1 70000 [::1:0 host.example:80; do
		usage "--listen takes PORT, ADDR:PORT or [ADDR]:PORT, with a numeric ADDR, not '$address'" \
			--listen "$address" "$pid"
	done
	serve 127.0.0.1:0
	local address=${url#http://}
	run 2 "$GORO" metrics --listen "${address%/metrics}" "$pid"
	has "$err" "cannot listen on ${address%/metrics}: Address already in use"
}

rules() {
	command -v promtool >/dev/null || skip "no promtool: apt-get install prometheus"
	run 0 promtool check rules "$EXAMPLES/goro.rules.yml"
	run 0 promtool check config "$EXAMPLES/prometheus.yml"
}

alert_fires() {
	python3 - "$1" >"$out" 2>&1 <<'PY'
import json, sys, urllib.request
data = json.load(urllib.request.urlopen(sys.argv[1] + "/api/v1/alerts", timeout=10))
print(json.dumps(data, indent=1))
sys.exit(not any(a["state"] == "firing" and a["labels"]["alertname"] == "GoroutinesLeaked"
                 for a in data["data"]["alerts"]))
PY
}

# A real Prometheus, with the rules that we ship, sees the leak; only the waiting is cut short.
prometheus_alerts() {
	local port
	command -v prometheus >/dev/null || skip "no prometheus: apt-get install prometheus"
	find_python
	start "$ABBA"
	eventually leaked_are 2
	serve 0
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
	sed 's/for: .*/for: 0s/' "$EXAMPLES/goro.rules.yml" >"$scratch/goro.rules.yml"
	local address=${url#http://}
	sed "s/127.0.0.1:9464/${address%/metrics}/; s/: 15s/: 200ms/" "$EXAMPLES/prometheus.yml" \
		>"$scratch/prometheus.yml"
	has "$scratch/prometheus.yml" "${address%/metrics}"
	prometheus --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/data" \
		--web.listen-address="127.0.0.1:$port" >"$scratch/prometheus.log" 2>&1 &
	started+=($!)
	eventually alert_fires "http://127.0.0.1:$port"
	has "$out" "2 goroutines of ${address%/metrics} can never go on"
}

"$1"
