# SPDX-License-Identifier: GPL-2.0-only
"""The benchmarks: what they must not accept, and must not leave out."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

WORKBENCH = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(WORKBENCH))
import vm  # noqa: E402
from bench import goals, report, results, run  # noqa: E402
from bench.cases import BY_NAME, CASES, GROUPS, HARDWARE, available  # noqa: E402


def outcome(case, kernel, **figures):
    made = results.Outcome(case, kernel)
    made.figures = {name.replace("_", "-"): values for name, values in figures.items()}
    made.units = {name: "instructions/page" for name in made.figures}
    return made


def measured(*outcomes):
    made = results.Results()
    made.outcomes = {(one.case, one.kernel): one for one in outcomes}
    made.run = {"commit": "0" * 40, "dirty": False, "quick": True, "started": "", "seconds": 0, "qemu": "",
                "host_cpus": 1, "cases": [one.case for one in outcomes]}
    return made


PLAIN = {"unmapped_pair": [640.0, 640.0], "unmapped_alloc": [111.0, 111.0]}


class Bench(unittest.TestCase):
    def test_two_runs_must_be_alike(self):
        case, first = BY_NAME["pages"], results.Outcome("pages", "base")
        run.merge(case, first, outcome("pages", "base", page_pair=[844.06]))
        run.merge(case, first, outcome("pages", "base", page_pair=[844.06]))
        self.assertEqual(first.figures["page-pair"], [844.06, 844.06])
        for other in ({"page_pair": [844.07]}, {}, {"page_pair": [844.06], "more": [1.0]}):
            with self.assertRaises(vm.VMError):
                run.merge(case, first, outcome("pages", "base", **other))

    def test_goals(self):
        base = outcome("pages", "base", page_zeroed_pair=[1000.0, 1000.0])
        verdicts = {goal["limit"]: goal["verdict"]
                    for goal in goals.judge(measured(base, outcome("pages", "plain", **PLAIN)))}
        self.assertEqual(verdicts[0.65], "met")
        self.assertEqual(verdicts[110], "not met")
        self.assertNotIn(80, verdicts)

    def test_failed_is_shown(self):
        failed = outcome("pages", "base", page_zeroed_pair=[1000.0])
        failed.fail("it hung")
        what = measured(failed, outcome("pages", "plain", **PLAIN))
        reached = goals.judge(what)
        text = report.markdown(what, reached, [BY_NAME["pages"]])
        self.assertEqual([goal["verdict"] for goal in reached if goal["limit"] == 0.65], ["failed"])
        self.assertIn("it hung", text)
        self.assertIn("| page-zeroed-pair | instructions/page | **FAILED** | - |", text)

    def test_nothing_said_is_shown(self):
        failed = results.Outcome("rest", "plain", status="failed", error="no verdict")
        text = report.markdown(measured(failed), [], [BY_NAME["rest"]])
        self.assertIn("| all | instructions | - | **FAILED** |", text)

    def test_written_and_read(self):
        what = measured(outcome("pages", "base", page_pair=[1.0, 1.0]), outcome("pages", "plain", **PLAIN))
        what.outcomes["pages", "base"].series = [(0.5, 1.0, 2.0, 3.0)]
        what.outcomes["pages", "base"].phases = [("boot", 0.25)]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "results.jsonl"
            results.write(path, what, [BY_NAME["pages"]], goals.judge(what))
            self.assertEqual(results.read(path).outcomes, what.outcomes)

    def test_cases_and_goals_fit(self):
        self.assertEqual(len(BY_NAME), len(CASES + HARDWARE))
        for case in CASES + HARDWARE:
            self.assertIn(case.group, GROUPS)
            self.assertTrue((WORKBENCH / "vm/jobs" / case.job).exists(), case.job)
        for goal in goals.GOALS:
            for kernel, case, _ in filter(None, (goal.figure, goal.against)):
                self.assertIn(kernel, BY_NAME[case].kernels)

    def test_hardware(self):
        """Nothing of it runs in the emulator, counts instructions, or says it did."""
        for case in available("kvm"):
            self.assertEqual(case.machine()["accel"], "kvm")
            self.assertNotIn("-icount", case.machine()["extra"])
            self.assertNotIn("instructions", case.unit + case.how)
        what = measured(outcome("pages", "plain", **PLAIN), outcome("2cpu", "plain", flush_tlb_kernel_range=[38]))
        what.outcomes["2cpu", "plain"].figures = {"flush_tlb_kernel_range": [38]}
        what.run["accel"] = "kvm"
        self.assertNotIn(110, [goal["limit"] for goal in goals.judge(what)])
        self.assertIn(80, [goal["limit"] for goal in goals.judge(what)])

    def test_bad_input(self):
        for words in (["nothing"], ["--accel", "nothing"], ["ipi"]):
            done = subprocess.run([WORKBENCH / "bench.py", "--check", *words], stderr=subprocess.PIPE, text=True,
                                  check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("there is", done.stderr)


if __name__ == "__main__":
    unittest.main()
