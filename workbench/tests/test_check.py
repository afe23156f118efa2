# SPDX-License-Identifier: GPL-2.0-only
"""The checks: what is listed as a leftover, and what compilers say."""

import contextlib
import importlib.util
import io
import pathlib
import sys
import tempfile
import unittest

WORKBENCH = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(WORKBENCH))
from check import ITEMS, compiled, item, leftovers, text  # noqa: E402


def read(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "leftovers"
        path.write_text(text)
        return leftovers.read(path)


def load_command():
    """workbench/check.py, whose name is that of the package, too."""
    spec = importlib.util.spec_from_file_location("check_command", WORKBENCH / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Leftovers(unittest.TestCase):
    def test_sift(self):
        kept = read("# words\n\nw1: mm/a.c: unused *\n\tA reason,\n\tand more.\nsparse: mm/b.c: context\n\tAnother.\n")
        self.assertEqual(kept[0].reason, "A reason, and more.")
        self.assertEqual(leftovers.sift("w1", ["mm/a.c: unused x", "mm/a.c: unused y"], kept), ([], []))
        self.assertEqual(leftovers.sift("w1", ["mm/b.c: context"], kept), (["mm/b.c: context"], ["mm/a.c: unused *"]))
        self.assertEqual(leftovers.sift("sparse", [], kept), ([], ["mm/b.c: context"]))
        self.assertEqual(leftovers.sift("builds", ["x"], kept), (["x"], []))

    def test_refused(self):
        for text in ("w1: mm/a.c: unused\n", "w1: *\n\tEverything.\n", "w1\n\tNothing.\n"):
            with self.subTest(text), self.assertRaises(ValueError):
                read(text)

    def test_the_file_itself(self):
        self.assertLessEqual({leftover.check for leftover in leftovers.read()}, set(ITEMS))


class Findings(unittest.TestCase):
    def test_warnings(self):
        output = ("../linux/mm/a.c:12:5: warning: unused variable 'x' [-Wunused]\n"
                  "/tmp/x/build/linux/mm/a.c:14:5: error: bad\n"
                  "  CC      mm/a.o\n"
                  "../linux/mm/a.c:12:5: warning: unused variable 'x' [-Wunused]\n"
                  "../linux-base/arch/x86/kvm/../../../virt/kvm/b.c:3: warning: c\n")
        self.assertEqual(compiled.warnings(output), [
            "arch/x86/kvm/../../../virt/kvm/b.c: c", "mm/a.c: unused variable 'x' [-Wunused]", "mm/a.c: bad"])

    def test_introduced(self):
        self.assertEqual(item.introduced(["a", "a", "b"], ["a", "c"]), ["a", "b"])


class Maintainers(unittest.TestCase):
    def test_lines(self):
        for line, file, named in (
                ("F:\tmm/unmapped-*", "mm/unmapped-zone.c", True), ("F:\tmm/unmapped-*", "mm/unmapped-x/a.c", False),
                ("F:\tdrivers/dma/", "drivers/dma/a/b.c", True), ("F:\tdrivers/dma/", "drivers/dmax.c", False),
                ("F:\tmm/", "mm/a.c", False), ("F:\t*/", "mm/a.c", False), ("F:\t*", "a.c", False),
                ("T:\tmm/a.c", "mm/a.c", False)):
            with self.subTest(line=line, file=file):
                self.assertEqual(text.names_file(line, file), named)

    def test_sections(self):
        self.assertEqual(text.sections_of("A ONE\nM:\tx\nF:\ta/b\n\nTHE REST\nF:\t*\n\n"),
                         {"A ONE": ["M:\tx", "F:\ta/b"], "THE REST": ["F:\t*"]})


class Command(unittest.TestCase):
    """A check that finds something, finds nothing to look at, or can't work, fails."""

    def run_one(self, function, kept=()):
        function.__doc__ = "it"
        with contextlib.redirect_stdout(io.StringIO()) as said:
            good = load_command().run("w1", function, list(kept))
        return good, said.getvalue()

    def test_outcomes(self):
        def broken():
            raise item.Broken("no compiler")
        self.assertEqual(self.run_one(lambda: item.Outcome([], 1, "files"))[0], True)
        for function, word in ((lambda: item.Outcome(["a finding"], 1, "files"), "a finding"),
                               (lambda: item.Outcome([], 0, "files"), "looked at nothing"), (broken, "no compiler")):
            good, said = self.run_one(function)
            self.assertFalse(good)
            self.assertIn(word, said)
        kept = [leftovers.Leftover("w1", "gone", "A reason.")]
        good, said = self.run_one(lambda: item.Outcome([], 1, "files"), kept)
        self.assertFalse(good)
        self.assertIn("no longer found", said)


if __name__ == "__main__":
    unittest.main()
