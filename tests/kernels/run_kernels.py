#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run kernels and compare what goro says of them with what their sources expect.

    run_kernels.py --goro GORO [--runs N] [--at-once N] [--procs 1,2,4] [--jobs N] [--table FILE]
                   [--keep DIR] PROGRAM=SOURCE...

Each run starts the program with its bug and looks until everything expected is found, and then its
twin and looks until every goroutine but main has ended. At every look, be it early or late, whoever
is LEAKED must be expected to be. kernel.h says what the head comments mean.

--jobs runs as many side by side, in rounds: a round is one run of each program at each number of
workers. --table writes after each round what was found and missed of each. --keep saves, of a run in which
something is not found for long or is LEAKED that should not, what keeps the goroutines alive and a core.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

EXPECT = re.compile(r"^ \* expect: (\w+), ([^:]+): (never|cycle|orphan|unreachable|alive)(?: (\d+))?$")
PATIENCE = 60  # seconds, on a loaded machine
LATE = 8  # seconds after which it is worth to see why it was not found yet
FIRST_LOOK = 0.04  # seconds: it comes at any time before that, so that some come early


class Failure(Exception):
    def __init__(self, text, kind="failed"):
        super().__init__(text)
        self.kind = kind


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
                          check=False)
    if done.returncode not in (0, 6, 23):
        if done.returncode in (3, 5):  # it has not become the program yet
            return None
        raise Failure(f"goro {command}: status {done.returncode}: {done.stderr.decode().strip()}")
    return json.loads(done.stdout)


def entry_function(stack):
    for frame in reversed(stack["frames"] if stack else []):
        name = frame["function"] or "?"
        if not name.startswith("goro_"):
            return name
    return None


def look(goro, pid, waiting):
    """
    What is LEAKED, and if asked for also what only waits, by function, reason and proof; and how
    many goroutines there are. Or None.
    """
    leaks = ask(goro, "leaks", pid)
    if not leaks:
        return None
    seen = collections.Counter()
    proofs = {}
    for finding in leaks["findings"]:
        if finding["verdict"] != "leaked":
            continue
        if waiting or finding["proof"] == "cycle":  # its goroutines have other functions
            proofs.update((number, finding["proof"]) for number in finding["goroutines"])
        else:
            seen[entry_function(finding["stack"]), finding["wait_reason"],
                 finding["proof"]] += finding["count"]
    dump = ask(goro, "dump", pid) if waiting or proofs else {"goroutines": []}
    if not dump:
        return None
    for goroutine in dump["goroutines"]:
        number = goroutine["id"]
        proof = proofs.pop(number, "alive")
        if proof == "alive" and (not waiting or number == 1 or goroutine["wait_reason"] is None):
            continue
        stack = None if goroutine["stack_id"] is None else dump["stacks"][goroutine["stack_id"]]
        seen[entry_function(stack), goroutine["wait_reason"], proof] += 1
    for number, proof in proofs.items():
        seen["gone", f"goroutine {number}", proof] += 1
    return seen, leaks["goroutines"]


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
                raise Failure(f"{count} x {function} [{reason}] is called LEAKED ({proof})", "false")
            found[key] += count
        for key, count in found.items():
            if count > self.expected[key]:
                raise Failure(f"{count} x {key}, not {self.expected[key]}", "false")
        return found == self.expected, found

    def keep(self, pid, label, what):
        """What keeps each one that waits alive, all that goro says, and a core, in a directory."""
        if not self.options.keep:
            return
        prefix = os.path.join(self.options.keep, f"{label}-{pid}")
        dump = ask(self.options.goro, "dump", pid)
        with open(prefix + ".txt", "w", encoding="utf-8") as text:
            text.write(what + "\n")
            text.flush()
            for arguments in [["leaks"], ["dump"]] + [
                    ["leaks", "--why", str(g["id"])] for g in (dump or {}).get("goroutines", [])]:
                text.write(f"\n$ goro {' '.join(arguments)} {pid}\n")
                text.flush()
                subprocess.run([self.options.goro, *arguments, str(pid)], stdout=text, stderr=text,
                               check=False)
        if shutil.which("gcore"):
            subprocess.run(["gcore", "-a", "-o", prefix + ".core", str(pid)], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def with_bug(self, procs, label):
        """Returns the seconds that it took until all was found."""
        process = self.start(procs, "bug")
        start = time.monotonic()
        waiting = any(proof == "alive" for _, _, proof in self.expected)
        try:
            found, view, kept = None, None, False
            pause = random.uniform(0, FIRST_LOOK)
            while time.monotonic() < start + self.options.patience:
                time.sleep(pause)
                pause = min(pause + 0.02, 0.5)
                view = look(self.options.goro, process.pid, waiting)
                if view:
                    complete, found = self.judge(view[0])
                    if complete:
                        return time.monotonic() - start
                if process.poll() is not None:
                    raise Failure(f"it ended with {process.returncode}")
                if not kept and time.monotonic() > start + LATE:
                    kept = True
                    self.keep(process.pid, label, f"late: {dict(view[0]) if view else None}")
            missing = {key: count - (found or {}).get(key, 0)
                       for key, count in self.expected.items()}
            raise Failure("not found: " + ", ".join(f"{n} x {key}" for key, n in missing.items() if n)
                          + f"; seen: {dict(view[0]) if view else None}", "missed")
        except Failure as failure:
            if process.poll() is None:
                self.keep(process.pid, label, str(failure))
            raise
        finally:
            process.kill()
            process.wait()

    def twin(self, procs, label):
        process = self.start(procs, "fixed")
        start = time.monotonic()
        try:
            view = None
            pause = random.uniform(0, FIRST_LOOK)
            while time.monotonic() < start + self.options.patience:
                time.sleep(pause)
                pause = min(pause + 0.02, 0.5)
                view = look(self.options.goro, process.pid, False)
                if view:
                    for key, count in view[0].items():
                        raise Failure(f"in the twin {count} x {key} is called LEAKED", "false")
                    if view[1] == 1:
                        return time.monotonic() - start
                if process.poll() is not None:
                    raise Failure(f"the twin ended with {process.returncode}")
            raise Failure(f"the twin does not end: {view[1] if view else None} goroutines")
        except Failure as failure:
            if process.poll() is None:
                self.keep(process.pid, label, str(failure))
            raise
        finally:
            process.kill()
            process.wait()


class Score:
    """Of one program at one number of workers."""

    def __init__(self):
        self.kinds = collections.Counter()
        self.slowest = 0.0

    def row(self):
        k = self.kinds
        return (k["found"], k["missed"], k["clean"], k["false"], k["failed"], k["late"],
                f"{self.slowest:.2f}")


def one_run(kernel, procs, score):
    """Once with the bug and once without. Returns what to print of failures."""
    messages = []
    label = f"{os.path.basename(kernel.program)}-P{procs}"
    for what, good in ((kernel.with_bug, "found"), (kernel.twin, "clean")):
        try:
            took = what(procs, label)
            score.kinds[good] += 1
            score.slowest = max(score.slowest, took)
            if took > LATE:
                score.kinds["late"] += 1
        except Failure as failure:
            score.kinds[failure.kind] += 1
            messages.append(f"{kernel.name} ({kernel.program}) at GORO_MAXPROCS={procs}: {failure}")
    return messages


def write_table(path, scores):
    fields = ("program", "workers", "found", "missed", "twins clean", "twins false", "failed", "late",
              "slowest s")
    with open(path + ".new", "w", encoding="utf-8") as table:
        print(*fields, sep="\t", file=table)
        for (program, procs), score in sorted(scores.items()):
            print(os.path.basename(program), procs, *score.row(), sep="\t", file=table)
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--goro", required=True)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--procs", default="1,2,4")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--patience", type=float, default=PATIENCE)
    parser.add_argument("--table")
    parser.add_argument("--keep")
    parser.add_argument("programs", nargs="+")
    options = parser.parse_args()
    text = subprocess.run([options.goro, "leaks", "--help"], capture_output=True, check=True, text=True)
    options.reach = "unreachable" in text.stdout
    kernels = [Kernel(program, source, options)
               for program, _, source in (word.partition("=") for word in options.programs)]
    scores = {(k.program, procs): Score() for k in kernels for procs in options.procs.split(",")}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for _ in range(options.runs):
            cases = [(k, procs, scores[k.program, procs])
                     for k in kernels for procs in options.procs.split(",")]
            random.shuffle(cases)
            for messages in pool.map(lambda case: one_run(*case), cases):
                for message in messages:
                    print(message, flush=True)
            if options.table:
                write_table(options.table, scores)
    total = sum((score.kinds for score in scores.values()), collections.Counter())
    failures = total["missed"] + total["false"] + total["failed"]
    print(f"{total['found']} runs with all found, {total['clean']} clean twins, {failures} failures; "
          f"the slowest took {max(score.slowest for score in scores.values()):.2f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
