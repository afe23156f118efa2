# SPDX-License-Identifier: GPL-2.0-only
"""What the page about others' programs makes of what they said."""

import unittest

import others


def said(*tap, status=0, tail=("bye",)):
    return [*tap, "--", *tail, f"status {status}", "seconds 9"]


class Outcome(unittest.TestCase):
    def test_words(self):
        for status, word in ((0, "ok"), (4, "skipped"), (1, "**fails**"), (124, "**timed out**"), (139, "**fails**")):
            self.assertEqual(others.outcome(said(status=status)), f"{word}, 9 s")
        self.assertEqual(others.outcome(None), "not run")

    def test_counts_are_of_the_outer_tests(self):
        self.assertEqual(others.outcome(said("ok 1 a", "# ok 1 inner", "ok 2 b # SKIP", "not ok 3 c", status=1)),
                         "**fails**: 1 passed, 1 skipped, 1 failed, 9 s")

    def test_notes_are_shown(self):
        self.assertEqual(others.outcome(said("# note: 3 pages")), "ok: 3 pages, 9 s")

    def test_output_is_no_result(self):
        self.assertEqual(others.outcome(said(tail=("ok 1 a",))), "ok, 9 s")


class Table(unittest.TestCase):
    def test_a_failure_is_shown(self):
        runs = {"base": {"results": {"a": said()}},
                "plain": {"results": {"a": said("# not ok 1 x", "not ok 1 y", status=1)}}}
        lines = list(others.table(runs))
        self.assertIn("| a | ok, 9 s | **fails**: 1 failed, 9 s |", lines)
        self.assertIn("    # not ok 1 x", lines)
        self.assertIn("**a**: not explained yet.\n", lines)

    def test_what_did_not_run_is_no_success(self):
        lines = list(others.table({"base": {"results": {"a": said()}}, "plain": {"results": {}}}))
        self.assertIn("| a | ok, 9 s | not run |", lines)
        self.assertTrue(any("does not pass" in line for line in lines))

    def test_another_verdict_is_shown(self):
        runs = {"base": {"results": {"a": said("ok 1 x", "ok 2 y", "ok 3 z # SKIP no", "not ok 4 w: status 1")}},
                "plain": {"results": {"a": said("ok 1 x", "not ok 2 y: timed out", "ok 3 z", "not ok 4 w: timed out",
                                                status=1)}}}
        self.assertEqual(list(others.differences(runs)),
                         ["- a: y: untouched passed, with the series failed",
                          "- a: z: untouched skipped, with the series passed"])


if __name__ == "__main__":
    unittest.main()
