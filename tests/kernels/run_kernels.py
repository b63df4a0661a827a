#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run kernels and compare what goro says of them with what their sources expect.

    run_kernels.py --goro GORO [--runs N] [--at-once N] [--procs 1,2,4] PROGRAM=SOURCE...

Each run starts the program with its bug and looks until everything expected is found, and then its
twin and looks until every goroutine but main has ended. At every look, be it early or late, whoever
is LEAKED must be expected to be. kernel.h says what the head comments mean.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import time

EXPECT = re.compile(r"^ \* expect: (\w+), ([^:]+): (never|cycle|orphan|unreachable|alive)(?: (\d+))?$")
PATIENCE = 60  # seconds, on a loaded machine


class Failure(Exception):
    pass


def read_expectations(source):
    expected = collections.Counter()
    with open(source, encoding="utf-8") as text:
        for line in text:
            if "expect:" in line:
                match = EXPECT.match(line.rstrip("\n"))
                if not match:
                    raise SystemExit(f"{source}: cannot read: {line.strip()}")
                function, reason, proof, count = match.groups()
                expected[function, reason, proof] += int(count or 1)
    if not expected:
        raise SystemExit(f"{source}: expects nothing")
    return expected


def ask(goro, command, pid):
    """A document of goro, or None while the process is not ready."""
    done = subprocess.run([goro, command, "--format", "json", str(pid)], capture_output=True,
                          check=False, text=True)
    if done.returncode not in (0, 6, 23):
        if done.returncode in (3, 5):  # it has not become the program yet
            return None
        raise Failure(f"goro {command}: status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def entry_function(document, goroutine):
    stacks = document["stacks"]
    if goroutine["stack_id"] is None:
        return None
    for frame in reversed(stacks[goroutine["stack_id"]]["frames"]):
        name = frame["function"] or "?"
        if not name.startswith("goro_"):
            return name
    return None


def look(goro, pid):
    """What waits, by function, reason and proof; and how many goroutines there are. Or None."""
    leaks = ask(goro, "leaks", pid)
    dump = ask(goro, "dump", pid) if leaks else None
    if not dump:
        return None
    proofs = {}
    for finding in leaks["findings"]:
        if finding["verdict"] == "leaked":
            for number in finding["goroutines"]:
                proofs[number] = finding["proof"]
    seen = collections.Counter()
    for goroutine in dump["goroutines"]:
        number = goroutine["id"]
        if number == 1 and number not in proofs:
            continue
        if goroutine["wait_reason"] is None and number not in proofs:
            continue  # it runs
        seen[entry_function(dump, goroutine), goroutine["wait_reason"], proofs.pop(number, "alive")] += 1
    for number, proof in proofs.items():
        seen["gone", f"goroutine {number}", proof] += 1
    return seen, len(dump["goroutines"])


def allowed(expected, function, reason, proof):
    """The expectation that what was seen may be, or None."""
    for key in expected:
        if key[0] == function and key[1] in (reason, "*") and (
                key[2] == "?" or proof in key[2].split(" or ")):
            return key
    return None


class Kernel:
    def __init__(self, program, source, options):
        self.program = program
        self.name = os.path.splitext(os.path.basename(source))[0]
        self.options = options
        self.expected = collections.Counter()
        kernel = read_expectations(source)
        # Behind one that is unreachable both are true, and without the one there is not the other.
        behind = any(key[2] == "unreachable" for key in kernel)
        for (function, reason, proof), count in kernel.items():
            if behind and not options.reach and proof in ("unreachable", "orphan"):
                proof = "?"
            elif behind and proof == "orphan":
                proof = "orphan or unreachable"
            self.expected[function, reason, proof] += count * options.at_once

    def start(self, procs, mode):
        return subprocess.Popen([self.program, mode, str(self.options.at_once)],
                                env=dict(os.environ, GORO_MAXPROCS=str(procs)))

    def judge(self, seen):
        """Raise at a LEAKED that nobody expects. True: all that is expected is there."""
        found = collections.Counter()
        for (function, reason, proof), count in seen.items():
            if proof == "alive":
                key = allowed(self.expected, function, reason, "alive")
                if key:
                    found[key] += count
                continue
            key = allowed(self.expected, function, reason, proof)
            if not key and proof == "unreachable" and any(
                    allowed(self.expected, function, reason, by_graph)
                    for by_graph in ("cycle", "orphan", "never")):
                continue  # true as well: the two looks that make a cycle did not see it whole yet
            if not key:
                raise Failure(f"{count} x {function} [{reason}] is called LEAKED ({proof})")
            found[key] += count
        for key, count in found.items():
            if count > self.expected[key]:
                raise Failure(f"{count} x {key}, not {self.expected[key]}")
        return found == self.expected, found

    def with_bug(self, procs):
        process = self.start(procs, "bug")
        try:
            deadline = time.monotonic() + PATIENCE
            found = None
            while time.monotonic() < deadline:
                view = look(self.options.goro, process.pid)
                if view:
                    complete, found = self.judge(view[0])
                    if complete:
                        return
                if process.poll() is not None:
                    raise Failure(f"it ended with {process.returncode}")
                time.sleep(0.01)
            missing = {key: count - (found or {}).get(key, 0)
                       for key, count in self.expected.items()}
            raise Failure("not found: " + ", ".join(f"{n} x {key}" for key, n in missing.items() if n)
                          + f"; seen: {dict(view[0]) if view else None}")
        finally:
            process.kill()
            process.wait()

    def twin(self, procs):
        process = self.start(procs, "fixed")
        try:
            deadline = time.monotonic() + PATIENCE
            view = None
            while time.monotonic() < deadline:
                view = look(self.options.goro, process.pid)
                if view:
                    for key, count in view[0].items():
                        if key[2] != "alive":
                            raise Failure(f"in the twin {count} x {key} is called LEAKED")
                    if view[1] == 1:
                        return
                if process.poll() is not None:
                    raise Failure(f"the twin ended with {process.returncode}")
            raise Failure(f"the twin does not end: {dict(view[0]) if view else None}")
        finally:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--goro", required=True)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--procs", default="1,2,4")
    parser.add_argument("programs", nargs="+")
    options = parser.parse_args()
    text = subprocess.run([options.goro, "leaks", "--help"], capture_output=True, check=True, text=True)
    options.reach = "unreachable" in text.stdout
    status = 0
    total = collections.Counter()
    for word in options.programs:
        program, _, source = word.partition("=")
        kernel = Kernel(program, source, options)
        for procs in options.procs.split(","):
            for run in range(options.runs):
                for what in (kernel.with_bug, kernel.twin):
                    try:
                        what(procs)
                        total[what.__name__] += 1
                    except Failure as failure:
                        print(f"{kernel.name}, run {run + 1} at GORO_MAXPROCS={procs}: {failure}",
                              flush=True)
                        total["failures"] += 1
                        status = 1
    print(f"{total['with_bug']} runs with all found, {total['twin']} clean twins, "
          f"{total['failures']} failures")
    return status


if __name__ == "__main__":
    sys.exit(main())
