# SPDX-License-Identifier: GPL-2.0-only
"""The comparison of answers: a difference must fail, unless it is listed as it is."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from test.answers import compare, parse  # noqa: E402

UNTOUCHED = parse(["madvise MADV_COLD of touched pages: 0", "read of a file: EINVAL; mapped 1: 0"])
READ_WORKS = ("read of a file", "0", "a reason")


class Compare(unittest.TestCase):
    def compare(self, now, *differences):
        return compare(UNTOUCHED, {**UNTOUCHED, **now}, differences)

    def test_same(self):
        self.assertEqual(self.compare({}), [])
        self.assertEqual(UNTOUCHED["read of a file"], "EINVAL; mapped 1: 0")

    def test_different(self):
        self.assertEqual(self.compare({"madvise MADV_COLD of touched pages": "EINVAL"}),
                         ["madvise MADV_COLD of touched pages: 0 -> EINVAL"])

    def test_listed(self):
        self.assertEqual(self.compare({"read of a file": "0"}, READ_WORKS), [])

    def test_listed_otherwise(self):
        self.assertEqual(self.compare({"read of a file": "1"}, READ_WORKS),
                         ["read of a file: EINVAL; mapped 1: 0 -> 1"])

    def test_listed_in_vain(self):
        self.assertEqual(self.compare({}, READ_WORKS), ["read of a file: EINVAL; mapped 1: 0 -> EINVAL; mapped 1: 0"])
        same = ("madvise MADV_COLD of touched pages", "0", "a reason")
        self.assertEqual(self.compare({}, same),
                         ["madvise MADV_COLD of touched pages: no difference, but listed as one"])

    def test_not_asked(self):
        self.assertEqual(compare(UNTOUCHED, {"read of a file": "EINVAL; mapped 1: 0"}, []),
                         ["madvise MADV_COLD of touched pages: not asked"])
        self.assertEqual(self.compare({"new": "0"}), ["new: not asked -> 0"])


if __name__ == "__main__":
    unittest.main()
