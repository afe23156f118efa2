# SPDX-License-Identifier: GPL-2.0-only
"""TAP as the kernel's parser reads it: what is broken, cut off or absent must fail."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from test import FAILED, PASSED, SKIPPED  # noqa: E402
from test.tap import tap_results  # noqa: E402

KSELFTEST = """\
TAP version 13
1..3
# Starting 3 tests
#  RUN           alloc.zeroed ...
ok 1 alloc.zeroed
# alloc.c:12:Expected 0 == 1
not ok 2 - alloc.lost
ok 3 numa.node # SKIP there is one node
# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0
""".splitlines()

KUNIT = """\
KTAP version 1
1..1
    KTAP version 1
    # Subtest: unmapped_alloc
    # module: unmapped_alloc_kunit
    1..2
    ok 1 unmapped_test_a
        KTAP version 1
        # Subtest: unmapped_test_b
        ok 1 order 0
        ok 2 order 9 # SKIP no block
    ok 2 unmapped_test_b
# unmapped_alloc: pass:2 fail:0 skip:0 total:2
# Totals: pass:2 fail:0 skip:1 total:3
ok 1 unmapped_alloc
""".splitlines()


def verdicts(lines, status="0", bare=False):
    lines = lines + ([f"# exit status {status}"] if status is not None else [])
    return [verdict for _, verdict, _ in tap_results("t", lines, bare)]


class Tap(unittest.TestCase):
    def test_kselftest(self):
        results = tap_results("t", KSELFTEST + ["# exit status 1"])
        self.assertEqual([(name, verdict) for name, verdict, _ in results],
                         [("t: alloc.zeroed", PASSED), ("t: alloc.lost", FAILED),
                          ("t: numa.node # SKIP there is one node", SKIPPED)])
        self.assertIn("Expected 0 == 1", results[1][2])

    def test_kunit(self):
        self.assertEqual([(name, verdict) for name, verdict, _ in tap_results("t", KUNIT)],
                         [("t: unmapped_test_a", PASSED), ("t: order 0", PASSED),
                          ("t: order 9 # SKIP no block", SKIPPED)])

    def test_cut_off(self):
        """Wherever a stream ends too early."""
        for whole in (KSELFTEST, KUNIT):
            last = max(n for n, line in enumerate(whole) if line.lstrip().startswith(("ok", "not ok")))
            for end in range(last):
                with self.subTest(whole[end]):
                    self.assertIn(FAILED, verdicts(whole[:end], None))
                    self.assertIn(FAILED, verdicts(whole[:end]))

    def test_broken(self):
        good = [line.replace("not ok", "ok") for line in KSELFTEST]
        self.assertNotIn(FAILED, verdicts(good))
        for name, lines in {
                "a number twice": [line.replace("ok 3", "ok 2") for line in good],
                "more than planned": good + ["ok 4 more"],
                "less than planned": [line for line in good if "ok 2" not in line],
                "no plan": [line for line in good if "1.." not in line],
                "no version": good[1:],
                "no result": good[:2],
        }.items():
            with self.subTest(name):
                self.assertIn(FAILED, verdicts(lines))

    def test_suite_fails_by_itself(self):
        lines = [line.replace("ok 1 unmapped_alloc", "not ok 1 unmapped_alloc") for line in KUNIT]
        self.assertIn(FAILED, verdicts(lines, None))

    def test_exit_status(self):
        """Of programs without TAP, and against what TAP says."""
        self.assertEqual(verdicts(["Testing guest_memfd"], bare=True), [PASSED])
        self.assertEqual(verdicts(["Testing guest_memfd"]), [FAILED])
        self.assertEqual(verdicts(KSELFTEST[:1], bare=True), [FAILED])
        self.assertEqual(verdicts(KSELFTEST[4:5], bare=True), [FAILED])
        self.assertEqual(verdicts(["Testing guest_memfd"], "4"), [SKIPPED])
        self.assertEqual(verdicts(["Testing guest_memfd"], "254"), [FAILED])
        self.assertEqual(verdicts(["TAP version 13", "1..0 # SKIP no secretmem"], "4"), [SKIPPED])
        self.assertIn(FAILED, verdicts([line.replace("not ok", "ok") for line in KSELFTEST], "139"))

    def test_absent(self):
        """A program or suite that said nothing at all, not even its exit status."""
        self.assertEqual(verdicts([], None), [FAILED])
        self.assertEqual(verdicts(["Testing guest_memfd"], None, bare=True), [FAILED])


if __name__ == "__main__":
    unittest.main()
