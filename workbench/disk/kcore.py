#!/usr/bin/python3
"""drgn reads all memory by its physical address: a block of 2 MiB at a time, and
where that fails, which pages are not to be read."""

import re

import drgn

PAGE, BLOCK = 4096, 2 << 20
program = drgn.Program()
program.set_kernel()


def readable(address, size):
    try:
        program.read(address, size, physical=True)
        return True
    except drgn.FaultError:
        return False


read = refused = 0
with open("/proc/iomem", encoding="ascii") as iomem:
    ranges = re.findall(r"(?m)^([0-9a-f]+)-([0-9a-f]+) : System RAM", iomem.read())
for first, last in ranges:
    address, end = -(-int(first, 16) // PAGE) * PAGE, (int(last, 16) + 1) // PAGE * PAGE
    while address < end:
        size = min(BLOCK - address % BLOCK, end - address)
        if readable(address, size):
            read += size // PAGE
        else:
            pages = [readable(page, PAGE) for page in range(address, address + size, PAGE)]
            read += sum(pages)
            refused += len(pages) - sum(pages)
        address += size
print(f"{read} pages read, {refused} refused")
raise SystemExit(not read)
