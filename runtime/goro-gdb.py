# SPDX-License-Identifier: MIT
"""Goroutines in gdb, of a live process or of a core file.

    (gdb) source /usr/share/goro/goro-gdb.py
    (gdb) info goroutines               all of them: state, where they are, who started them
    (gdb) goroutine 7 bt                any command, in the frames of a goroutine
    (gdb) goroutine all bt

It knows no structure of the runtime: like every observer it reads the contract that the program
carries (goro_introspect.h). The frames of a parked goroutine are given to gdb by an unwinder that
says what its registers were, so nothing in the process is written and a core file will do. (Go's own
script sets the registers of a thread and puts them back, which a core file does not allow, and which
loses the thread if gdb is interrupted in between.) For gdb the stack is then one that the current
thread's innermost frame returned to; that frame, number 0, is left out of what is printed.
"""
import itertools
import re
import struct

import gdb
import gdb.unwinder

COOKIE = b"GOROSCP1"
VERSIONS = (3, 4)  # 4: stacks may be cold
# Where the fields that we need stand in the contract's table, which is only ever appended to.
FIELDS = {
    "id": 0, "status": 1, "sp": 3, "park_time": 6, "spawn_pc": 9, "entry": 10, "parent": 11,
    "m.tid": 49, "m.curg": 50,
}
FREE, NEW, RUNNABLE, RUNNING, WAITING, DEAD = range(6)
# DWARF numbers of what the switch can save, and what gdb calls it.
REGISTERS = {
    62: ("rip", "rsp", {3: "rbx", 6: "rbp", 12: "r12", 13: "r13", 14: "r14", 15: "r15"}),
    183: ("pc", "sp", {n: "x%d" % n for n in range(19, 30)}),
}


def memory(addr, size):
    return bytes(gdb.selected_inferior().read_memory(addr, size))


def unpack(layout, addr):
    return struct.unpack("<" + layout, memory(addr, struct.calcsize("<" + layout)))


def function_name(pc):
    symbol = gdb.execute("info symbol 0x%x" % pc, to_string=True)
    found = re.match(r"(\S+)", symbol)
    return found.group(1) if found and not symbol.startswith("No symbol") else "0x%x" % pc


def place(pc):
    line = gdb.find_pc_line(pc)
    at = " at %s:%d" % (line.symtab.filename, line.line) if line.symtab else ""
    return function_name(pc) + at


class Contract:
    """The root and the tables behind it."""

    def __init__(self):
        try:
            root = int(gdb.parse_and_eval("(unsigned long)&goro_introspect"))
            cookie = memory(root, 8)
        except (gdb.error, gdb.MemoryError):
            raise gdb.GdbError("this is no goro program, or it is not running yet")
        if cookie != COOKIE:
            raise gdb.GdbError("the runtime has not started yet")
        version, _, self.machine, word = unpack("4I", root + 8)
        if version not in VERSIONS or word != 8 or self.machine not in REGISTERS:
            raise gdb.GdbError("the program has contract version %d for machine %d; this script "
                               "knows version %d; use the one of its runtime"
                               % (version, self.machine, VERSIONS[-1]))
        fields, states, reasons, nfields, nstates, nreasons, name_size = unpack("3Q4I", root + 24)
        self.chunks, self.nchunks, _, self.chunk_len, self.g_size = unpack("Q4I", root + 80)
        self.ms, _, self.m_count = unpack("Q2I", root + 120)
        self.clock, = unpack("Q", root + 152)
        self.saved = unpack("64H", root + 168)
        self.saved_pc, self.saved_size = unpack("2H", root + 296)
        self.cold = []
        if version == VERSIONS[1]:
            count, arenas = unpack("IQ", root + 364)
            self.cold = [unpack("4Q", arenas + 32 * i) for i in range(count)]
        self.states = self.names(states, nstates, name_size)
        self.reasons = self.names(reasons, nreasons, name_size)
        table = unpack("%dH" % (2 * nfields), fields)
        self.fields = {name: (table[2 * i], {2: "H", 4: "I", 8: "Q"}[table[2 * i + 1]])
                       for name, i in FIELDS.items()}

    @staticmethod
    def names(addr, count, size):
        text = memory(addr, count * size)
        return [text[i * size:i * size + 30].split(b"\0")[0].decode() for i in range(count)]

    def field(self, record, name):
        offset, code = self.fields[name]
        return struct.unpack_from("<" + code, record, offset)[0]

    def is_cold(self, addr):
        """Was the page taken away? What was there is kept elsewhere, where gdb does not look."""
        for lo, hi, copies, slot in self.cold:
            if lo <= addr < hi:
                entry, = unpack("Q", copies + (addr - lo) // slot * 8)
                return entry != 0 and entry % 2 == 0
        return False

    def goroutines(self):
        """In the order of their start; records are used again, in any order."""
        return sorted(self.records(), key=lambda g: g.id)

    def records(self):
        for chunk in unpack("%dQ" % self.nchunks, self.chunks):
            records = memory(chunk, self.chunk_len * self.g_size)
            for i in range(self.chunk_len):
                g = Goroutine(self, records[i * self.g_size:(i + 1) * self.g_size],
                              chunk + i * self.g_size)
                if g.id and g.state not in (FREE, DEAD):
                    yield g

    def threads(self):
        """Kernel thread by the record of the goroutine that runs there."""
        curg = self.fields["m.curg"]
        tid = self.fields["m.tid"]
        return {unpack(curg[1], m + curg[0])[0]: unpack(tid[1], m + tid[0])[0]
                for m in unpack("%dQ" % self.m_count, self.ms) if m}


class Goroutine:
    def __init__(self, contract, record, addr):
        self.contract, self.addr = contract, addr
        for name in ("id", "status", "sp", "park_time", "spawn_pc", "entry", "parent"):
            setattr(self, name, contract.field(record, name))
        self.state = self.status & 0xff

    def says(self):
        if self.state != WAITING:
            return self.contract.states[self.state]
        reason = self.contract.reasons[self.status >> 8 & 0xff]
        minutes = (self.contract.clock - self.park_time) // (60 * 10**9)
        return "%s, %d minutes" % (reason, minutes) if minutes > 0 else reason

    def saved_pc(self):
        return unpack("Q", self.sp + self.contract.saved_pc)[0]

    def is_there(self):
        """Not so a cold stack: gdb cannot read it, or finds zeros in a core file."""
        try:
            return self.saved_pc() or not self.contract.is_cold(self.sp)
        except gdb.MemoryError:
            return not self.contract.is_cold(self.sp)

    def registers(self):
        """What they were when it left, by gdb's names."""
        pc, sp, names = REGISTERS[self.contract.machine]
        frame = memory(self.sp, self.contract.saved_size)

        def word(offset):
            return struct.unpack_from("<Q", frame, offset)[0]

        values = {name: word(self.contract.saved[n]) for n, name in names.items()
                  if self.contract.saved[n] != 0xffff}
        values[pc] = self.saved_pc()
        values[sp] = self.sp + self.contract.saved_size
        return values


class Unwinder(gdb.unwinder.Unwinder):
    """While a goroutine is entered, the thread's innermost frame returns into it."""

    def __init__(self):
        super().__init__("goro")
        self.goroutine = None

    def __call__(self, pending_frame):
        if not self.goroutine or pending_frame.level() != 0:
            return None
        registers = self.goroutine.registers()
        pc, sp, _ = REGISTERS[self.goroutine.contract.machine]
        word = gdb.lookup_type("unsigned long")

        class Id:
            pass

        # Below the frames that follow: gdb takes a stack that grows downwards for a broken one.
        Id.sp = gdb.Value(self.goroutine.sp).cast(word)
        Id.pc = pending_frame.read_register(pc)
        info = pending_frame.create_unwind_info(Id)
        for name, value in registers.items():
            kind = pending_frame.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(word).cast(kind))
        return info

    def enter(self, goroutine):
        self.goroutine = goroutine
        gdb.invalidate_cached_frames()


class HideThreadFrame:
    """Leaves the thread's own frame out of a goroutine's backtrace."""

    def __init__(self):
        self.name, self.priority, self.enabled = "goro", 1000, True
        gdb.frame_filters[self.name] = self

    def filter(self, frames):
        return itertools.islice(frames, 1, None) if unwinder.goroutine else frames


def target():
    """What our own commands would call it: a process id, or the core file."""
    inferior = gdb.selected_inferior()
    core = re.search(r"^Local core dump file:\n\s*`(.*)', file type",
                     gdb.execute("info files", to_string=True), re.M)
    return core.group(1) if core else str(inferior.pid)


def inside(goroutine, threads, action):
    """Call action() with the goroutine's frames as gdb's, then put everything back."""
    thread, frame = gdb.selected_thread(), gdb.selected_frame()
    try:
        if goroutine.state == RUNNING:
            tid = threads.get(goroutine.addr)
            for candidate in gdb.selected_inferior().threads():
                if tid and candidate.ptid[1] == tid:
                    candidate.switch()
                    gdb.newest_frame().select()
                    return action()
            raise gdb.GdbError("no thread %s for it" % tid)
        if not goroutine.sp:
            raise gdb.GdbError("has not run yet")
        if not goroutine.is_there():
            raise gdb.GdbError("its stack is cold (GORO_COLD), where gdb cannot read: "
                               "`goro stack %s %d` can" % (target(), goroutine.id))
        if not goroutine.saved_pc():
            raise gdb.GdbError("its stack is not in the core file: gcore can read but the first "
                               "some hundred; have the kernel write the core")
        unwinder.enter(goroutine)
        older = gdb.newest_frame().older()
        if not older:
            raise gdb.GdbError("its stack cannot be read")
        older.select()
        return action()
    finally:
        unwinder.enter(None)
        thread.switch()
        try:
            frame.select()
        except gdb.error:
            gdb.newest_frame().select()


def outer_name(frame):
    """The name of the function, or of the one that it is inlined in."""
    while frame.type() == gdb.INLINE_FRAME and frame.older():
        frame = frame.older()
    return frame.name() or ""


def program_frame():
    """The innermost frame that is the program's: behind the runtime's call that it made."""
    frames, frame = [], gdb.selected_frame()
    while frame and len(frames) < 20:
        frames.append(frame)
        frame = frame.older()
    names = [outer_name(f) for f in frames]
    runtime = [n.startswith("goro_") for n in names]
    call = next((i for i, n in enumerate(names)
                 if runtime[i] and not n.startswith("goro_park")), 0)
    frame = next((f for i, f in enumerate(frames) if i >= call and not runtime[i]), frames[0])
    line = frame.find_sal()
    at = " at %s:%d" % (line.symtab.filename, line.line) if line.symtab else ""
    return (frame.name() or "0x%x" % frame.pc()) + at


class InfoGoroutines(gdb.Command):
    """List all goroutines: number, state or what it waits for, where, and who started it."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STACK)

    def invoke(self, args, from_tty):
        contract = Contract()
        threads = contract.threads()
        for g in contract.goroutines():
            try:
                where = inside(g, threads, program_frame)
            except (gdb.GdbError, gdb.error) as error:
                where = "%s (%s)" % (function_name(g.entry), error)
            line = "%6d  [%s]  %s" % (g.id, g.says(), where)
            if g.spawn_pc:
                line += "\n        created by %s in goroutine %d" % (place(g.spawn_pc - 1), g.parent)
            print(line)


class GoroutineCommand(gdb.Command):
    """goroutine N COMMAND: run a gdb command in the frames of goroutine N, or of `all`."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK, gdb.COMPLETE_COMMAND)

    def invoke(self, args, from_tty):
        words = args.split(None, 1)
        if len(words) != 2 or not (words[0] == "all" or words[0].isdigit()):
            raise gdb.GdbError("usage: goroutine N|all COMMAND; for example: goroutine 7 bt")
        contract = Contract()
        threads = contract.threads()
        found = False
        for g in contract.goroutines():
            if words[0] not in ("all", str(g.id)):
                continue
            found = True
            print("goroutine %d [%s]:" % (g.id, g.says()))
            try:
                inside(g, threads, lambda: gdb.execute(words[1], from_tty))
            except gdb.GdbError as error:
                print("  %s" % error)
            print()
        if not found:
            raise gdb.GdbError("no goroutine %s; `info goroutines` lists them" % words[0])


unwinder = Unwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)
HideThreadFrame()
InfoGoroutines()
GoroutineCommand()
