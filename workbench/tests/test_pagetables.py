# SPDX-License-Identifier: GPL-2.0-only
"""The walk of page tables in a dump: what it must see."""

import pathlib
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from test import pagetables  # noqa: E402

RX, RO, RW, NX = 0x1, 0x1, 0x3, 1 << 63
TABLE, LARGE = 0x3, 0x80
TEXT_FRAME = 0x600000


def dump(text=RX, alias=0):
    """Memory with four levels of tables: a page of text, and a block of 2 MiB of
    the direct map that has the same page."""
    memory = bytearray(0x10000)
    for table, index, entry in (
            (0x1000, 0, 0x8000 | TABLE), (0x1000, 256, 0x2000 | TABLE), (0x1000, 511, 0x4000 | TABLE),
            (0x2000, 0, 0x3000 | TABLE), (0x3000, 3, TEXT_FRAME | LARGE | alias),
            (0x4000, 511, 0x5000 | TABLE), (0x5000, 0, 0x6000 | TABLE), (0x6000, 5, TEXT_FRAME + 0x5000 | text),
            # The user's half, which is not looked at.
            (0x8000, 0, TEXT_FRAME | LARGE | RW)):
        struct.pack_into("<Q", memory, table + index * 8, entry)
    return memory


class PageTables(unittest.TestCase):
    def check(self, executable, writable, aliased, **entries):
        self.assertEqual(pagetables.look(dump(**entries), 0x1000, 0),
                         {"executable": executable, "writable": writable, "aliased": aliased})

    def test_absent_alias(self):
        self.check(1, 0, 0)

    def test_alias(self):
        self.check(1, 0, 1, alias=RO | NX)

    def test_writable(self):
        self.check(1, 1, 0, text=RW)

    def test_no_text(self):
        self.check(0, 0, 0, text=RX | NX, alias=RW | NX)


if __name__ == "__main__":
    unittest.main()
