# SPDX-License-Identifier: MIT
"""The search for leaks on a heap of 1 GB: 10 million objects, 100,000 goroutines, 10 of them leaked.

goro looks from outside, Go's goroutineleak profile and LeakSanitizer from inside: the same heap in
each, and all of the time from the question to the answer."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "leaks_1gb"
LEAKED = 10
RUN_SECONDS = 300

# figure -> unit, the most that it shall be
FIGURES = {"leaks_1gb": ("ms", 1200), "leaks_1gb_pause": ("ms", 10), "leaks_1gb_memory": ("MiB", None)}


class Unavailable(Exception):
    """Why a figure cannot be had here."""


def enough_memory(divisor):
    with open("/proc/meminfo", encoding="ascii") as f:
        available = int(re.search(r"MemAvailable:\s+(\d+)", f.read())[1]) / 2**20
    return available * divisor >= 6


def build_go(go, directory):
    binary = os.path.join(directory, "leaks_go")
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
    # Go 1.26 has it as an experiment, older ones know no such experiment, newer ones have it.
    for experiment in ("goroutineleakprofile", ""):
        built = subprocess.run([go, "build", "-o", binary, "."], capture_output=True, text=True,
                               cwd=os.path.join(HERE, "go_leaks"),
                               env={**env, "GOEXPERIMENT": experiment})
        if built.returncode == 0:
            return binary
    raise Unavailable(f"{go} cannot build tests/bench/go_leaks: {built.stderr}")


def printed(command):
    """Lines of names and numbers that a program prints."""
    run = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS)
    if run.returncode:
        raise Unavailable(f"{os.path.basename(command[0])}: {run.stderr.strip()[:300]}")
    return {k: float(v) for k, v in (line.split() for line in run.stdout.splitlines())}


def ask_goro(goro, pid):
    """One search: milliseconds, milliseconds of pause, MiB of memory at most."""
    with tempfile.TemporaryFile() as out:
        before = os.times().elapsed
        command = subprocess.Popen([goro, "leaks", "--format=json", str(pid)], stdout=out,
                                   stderr=subprocess.PIPE, text=True)
        errors = command.stderr.read()
        _, status, usage = os.wait4(command.pid, 0)
        elapsed = os.times().elapsed - before
        command.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        report = json.load(out) if command.returncode in (0, 23) else {}
    proof = report.get("reachability", {})
    if "pause_ns" not in proof:
        raise Unavailable(f"goro leaks: {errors.strip() or proof.get('unknown', 'no proof')}")
    if report["leaked"] != LEAKED:
        sys.exit(f"bench: goro leaks found {report['leaked']} of {LEAKED}")
    return {"leaks_1gb": elapsed * 1e3, "leaks_1gb_pause": proof["pause_ns"] / 1e6,
            "leaks_1gb_memory": usage.ru_maxrss / 1024}


def measure_goro(directory, goro, divisor, pairs):
    program = os.path.join(directory, "leaks_goro")
    with subprocess.Popen([program, str(divisor)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as target:
        try:
            if target.stdout.readline() != "ready\n":
                raise Unavailable(f"{program} did not get ready")
            runs = [ask_goro(goro, target.pid) for _ in range(pairs)]
        finally:
            target.stdin.close()
    return {name: [run[name] for run in runs] for name in FIGURES}


def attempt(what, *args):
    try:
        return what(*args)
    except Unavailable as reason:
        print(f"bench: {NAME}: {reason}", file=sys.stderr)
        return {}


def measure_go(go, pairs, divisor):
    with tempfile.TemporaryDirectory() as directory:
        binary = build_go(go, directory)
        runs = [printed([binary, str(divisor)]) for _ in range(pairs)]
    for run in runs:
        if run["go_leaked"] != LEAKED:
            raise Unavailable(f"Go's profile found {run['go_leaked']:g} of {LEAKED}")
    return {"leaks_1gb": [run["go_ms"] for run in runs],
            "leaks_1gb_pause": [run["go_pause_ms"] for run in runs]}


def measure_lsan(directory, pairs, divisor):
    binary = os.path.join(directory, "leaks_lsan")
    if not os.access(binary, os.X_OK):
        raise Unavailable("no leaks_lsan: the compiler has no LeakSanitizer")
    return {"leaks_1gb": [printed([binary, str(divisor)])["lsan_ms"] for _ in range(pairs)]}


def column(values):
    return f"{statistics.median(values):>9.1f}" if values else f"{'-':>9}"


def rows(directory, goro, go, go_version, pairs, divisor):
    """Measure, print, and return the rows for the JSON file."""
    pairs = min(pairs, 3)
    if not enough_memory(divisor):
        print(f"bench: leaving out {NAME}: it needs 6 GiB of memory", file=sys.stderr)
        return []
    ours = attempt(measure_goro, directory, goro, divisor, pairs)
    if not ours:
        return []
    beside = attempt(measure_go, go, pairs, divisor) if go else {}
    lsan = attempt(measure_lsan, directory, pairs, divisor)
    print("A search for leaks in a heap of 1 GB, 10 million objects and 100,000 goroutines, beside "
          "Go's\ngoroutineleak profile and LeakSanitizer, which look from inside")
    print(f"{'':<24}{'unit':<6}{'goro':>9}{'Go':>9}{'LSan':>9}{'at most':>9}")
    found = []
    for name, (unit, most) in FIGURES.items():
        theirs = beside.get(name)
        print(f"{name:<24}{unit:<6}{column(ours[name])}{column(theirs)}{column(lsan.get(name))}"
              f"{most if most else '':>9}", flush=True)
        row = {"name": name, "workers": None, "unit": unit,
               "goro": round(statistics.median(ours[name]), 3), "go": None, "go_version": None,
               "ratio": None}
        if theirs:
            go_median = statistics.median(theirs)
            row |= {"go": round(go_median, 3), "go_version": go_version,
                    "ratio": round(go_median / row["goro"], 3) if row["goro"] else None}
        if lsan.get(name):
            row["lsan"] = round(statistics.median(lsan[name]), 3)
        found.append(row)
    return found
