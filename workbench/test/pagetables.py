# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's page tables, seen from outside: by a dump of a VM's memory."""

import bisect
import mmap
import re
import struct

# Where x86-64 has modules, and all other text that is made while the system runs.
TEXT = (0xffffffffc0000000, 0xffffffffff000000)

PRESENT, WRITABLE, LARGE, NO_EXECUTE = 1 << 0, 1 << 1, 1 << 7, 1 << 63
FRAME = 0x000ffffffffff000
LA57 = 1 << 12  # of CR4


def leaves(memory, table, level, seen, address=0, flags=WRITABLE):
    """Entries that map something in the kernel's half: address, frame, size,
    writable, executable. All levels have their say in the last two. A table that
    is used at many addresses, as KASAN does, is looked at once, in @seen then."""
    size = 1 << (12 + 9 * level)
    for index, entry in enumerate(struct.unpack_from("<512Q", memory, table)):
        at = address + index * size
        if not entry & PRESENT or (address == 0 and index < 256):
            continue
        if address == 0:
            at |= -1 << (21 + 9 * level) & (1 << 64) - 1
        new = flags & entry & WRITABLE | (flags | entry) & NO_EXECUTE
        frame = entry & FRAME & -size if level and entry & LARGE else entry & FRAME
        if level and not entry & LARGE:
            where = frame, level, at + size > TEXT[0] and at < TEXT[1]
            if frame + 4096 <= len(memory) and where not in seen:
                seen.add(where)
                yield from leaves(memory, frame, level - 1, seen, at, new)
        else:
            yield at, frame, size, bool(new & WRITABLE), not new & NO_EXECUTE


def look(memory, cr3, cr4):
    """Pages of text, how many of them are writable, how many are mapped once more."""
    text, writable, others = set(), 0, []
    for at, frame, size, can_write, can_execute in leaves(memory, cr3 & FRAME, 4 if cr4 & LA57 else 3, set()):
        if not TEXT[0] <= at < TEXT[1]:
            others.append((frame, size))
        elif can_execute:
            text.update(range(frame, frame + size, 4096))
            writable += can_write * size // 4096
    pages = sorted(text)
    aliased = {page for frame, size in others
               for page in pages[bisect.bisect_left(pages, frame):bisect.bisect_left(pages, frame + size)]}
    return {"executable": len(text), "writable": writable, "aliased": len(aliased)}


def look_at(machine, qemu):
    """The same of a VM that runs."""
    dump = machine.dir / "memory"
    registers = machine.qmp(qemu, ("stop", {}),
                            ("pmemsave", {"val": 0, "size": machine.memory << 20, "filename": str(dump)}),
                            ("human-monitor-command", {"command-line": "info registers"}))
    machine.qmp(qemu, ("cont", {}))
    cr3, cr4 = (int(re.search(rf"{name}=([0-9a-f]+)", registers)[1], 16) for name in ("CR3", "CR4"))
    with open(dump, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        seen = look(memory, cr3, cr4)
    dump.unlink()
    return seen
