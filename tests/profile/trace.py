# SPDX-License-Identifier: MIT
"""trace.py FILE PID FUNCTION - a trace in the trace event format, with runs of FUNCTION.

The rules are those of the published "Trace Event Format": a complete event (X) has ts and dur, and
those of one thread nest or do not overlap. Perfetto's own reader is in no registry: the package that
PyPI has loads trace_processor_shell from elsewhere when it is first used.
"""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
events = document["traceEvents"]
end = {}
names = set()
threads = set()
for event in events:
    assert event["ph"] in "XMi", event
    assert event["pid"] == int(sys.argv[2]), event
    assert isinstance(event["tid"], int) and isinstance(event["name"], str), event
    if event["ph"] == "M" and event["name"] == "thread_name":
        threads.add(event["tid"])
    if event["ph"] != "X":
        continue
    assert event["dur"] >= 0 and event["ts"] > -1e9, event
    assert event["ts"] >= end.get(event["tid"], -1e9) - 0.001, ("overlap", event)
    end[event["tid"]] = event["ts"] + event["dur"]
    assert event["args"]["samples"] >= 1, event
    names.add(event["name"].split()[0])
assert sys.argv[3] in names, names
assert set(end) <= threads, "a thread without a name"
