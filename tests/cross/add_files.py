# SPDX-License-Identifier: MIT
"""add_files.py CORE MAPS ROOT PROGRAM: say in a core file which files were mapped.

QEMU (7.2) writes core files of the programs that it emulates, but not the note that the kernel's
have (NT_FILE). MAPS is what /proc/PID/maps said of QEMU: a 64-bit program's addresses are its own. Of
the files there those below ROOT, and PROGRAM, are the emulated program's.
"""
import struct
import sys

PAGE, NT_FILE, PT_NOTE = 4096, 0x46494c45, 4

core_name, maps_name, root, program = sys.argv[1:]
table, names = b'', b''
count = 0
for line in open(maps_name, encoding='utf-8'):
    fields = line.split(maxsplit=5)
    if len(fields) < 6:
        continue
    path = fields[5].strip()
    if path != program and not path.startswith(root + '/'):
        continue
    lo, hi = (int(word, 16) for word in fields[0].split('-'))
    table += struct.pack('<QQQ', lo, hi, int(fields[2], 16) // PAGE)
    names += path.encode() + b'\0'
    count += 1
description = struct.pack('<QQ', count, PAGE) + table + names
description += bytes(-len(description) % 4)

with open(core_name, 'r+b') as core:
    head = core.read(64)
    table_at, = struct.unpack_from('<Q', head, 32)
    core.seek(table_at)
    kind, flags, offset, _, _, size, _, _ = struct.unpack('<IIQQQQQQ', core.read(56))
    if kind != PT_NOTE:
        sys.exit('its first program header is not that of the notes')
    core.seek(offset)
    notes = core.read(size) + struct.pack('<III', 5, len(description), NT_FILE) + b'CORE\0\0\0\0'
    notes += description
    end = core.seek(0, 2)
    core.write(notes)
    core.seek(table_at)
    core.write(struct.pack('<IIQQQQQQ', kind, flags, end, 0, 0, len(notes), 0, 4))
