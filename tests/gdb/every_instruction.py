# SPDX-License-Identifier: MIT
"""In gdb: stop at every switch, and look at the stack on each of its instructions. It must be
complete: from the switch through whoever asked for it to where that stack begins. In the end every
instruction must have been seen. With GDB_REMOTE and GDB_SYSROOT in the environment the program waits
there, in an emulator."""
import os
import re

import gdb

ENDS = ("goro_entry", "main")  # `main` has callers in the C library, which are not ours to judge
FILLING = re.compile(r"((data16|cs) +)*nop|xchg +%ax,%ax")  # the first of GNU's, both of clang's


def stack():
    names = []
    frame = gdb.newest_frame()
    while frame:
        names.append(frame.name())
        if frame.name() in ENDS:
            return names, True
        frame = frame.older()
    return names, False


def instructions(start, end):
    """Where they are, without what an assembler fills up with to the next function."""
    architecture = gdb.newest_frame().architecture()
    return [line["addr"] for line in architecture.disassemble(start, end - 1)
            if not FILLING.match(line["asm"])]


def switch_range():
    """From the function to the next one: its slow tails are behind the part that returns."""
    symbols = ("goro_context_switch", "goro_entry")
    start, end = (int(gdb.parse_and_eval("(unsigned long)&" + s)) for s in symbols)
    return start, end


gdb.execute("set pagination off")
gdb.execute("set debuginfod enabled off")
gdb.execute("break goro_context_switch")
if "GDB_REMOTE" in os.environ:
    gdb.execute("set sysroot " + os.environ["GDB_SYSROOT"])
    gdb.execute("target remote " + os.environ["GDB_REMOTE"])
    gdb.execute("continue")
else:
    gdb.execute("run")
gdb.execute("set scheduler-locking step")
# That is before there is sysmon, which would take the processor away from who stands here for long,
# and give it to another worker: that one would come here, too, and QEMU's stub is for one thread.
gdb.execute("set variable sched.retake_lock = 1")
start, end = switch_range()
all_of_it = instructions(start, end)
seen, bad, ends, switches = set(), [], set(), 0
while switches < 60 and (set(all_of_it) - seen or set(ENDS) - ends):
    switches += 1
    while start <= gdb.newest_frame().pc() < end:
        pc = gdb.newest_frame().pc()
        names, complete = stack()
        seen.add(pc)
        if not complete or names[0] != "goro_context_switch" or None in names:
            bad.append("+%d: %s" % (pc - start, " < ".join(map(str, names))))
        ends.add(names[-1])
        gdb.execute("stepi", to_string=True)
    try:
        gdb.execute("continue", to_string=True)
        gdb.newest_frame()
    except gdb.error:
        break  # it has ended

missed = [a for a in all_of_it if a not in seen]
print("%d switches, %d instructions seen" % (switches, len(seen)))
for line in bad[:20]:
    print("broken: " + line)
for a in missed:
    print("never reached: +%d" % (a - start))
if set(ENDS) - ends:
    print("no stack ended in %s" % (set(ENDS) - ends))
good = all_of_it and not bad and not missed and not set(ENDS) - ends
print("every instruction is good" if good else "FAILED")
gdb.execute("quit %d" % (0 if good else 1))
