# SPDX-License-Identifier: GPL-2.0-only
"""The benchmarks: what they must not accept, and must not leave out."""

import contextlib
import importlib.util
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

WORKBENCH = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(WORKBENCH))
import bench  # noqa: E402
import vm  # noqa: E402
from bench import goals, irqs, plots, report, results, run, summary  # noqa: E402
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


def load_command():
    """workbench/bench.py, whose name is that of the package, too."""
    spec = importlib.util.spec_from_file_location("bench_command", WORKBENCH / "bench.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
        self.assertEqual(verdicts[0.8], "met")
        self.assertEqual(verdicts[110], "not met")
        self.assertNotIn(80, verdicts)

    def test_why_not(self):
        goal = next(goal for goal in goals.GOALS if goal.why)
        for verdict, shown in (("not met", True), ("met", False)):
            record = {"goal": goal.text, "value": 1.0, "verdict": verdict}
            self.assertEqual(goal.why in report.goals_table([record])[-1], shown)

    def test_failed_is_shown(self):
        failed = outcome("pages", "base", page_zeroed_pair=[1000.0])
        failed.fail("it hung")
        what = measured(failed, outcome("pages", "plain", **PLAIN))
        reached = goals.judge(what)
        text = report.markdown(what, reached, [BY_NAME["pages"]])
        self.assertEqual([goal["verdict"] for goal in reached if goal["limit"] == 0.8], ["failed"])
        self.assertIn("it hung", text)
        self.assertIn("| page-zeroed-pair | instructions/page | **FAILED** | - |", text)

    def test_nothing_said_is_shown(self):
        failed = results.Outcome("rest", "plain", status="failed", error="no verdict")
        text = report.markdown(measured(failed), [], [BY_NAME["rest"]])
        self.assertIn("| all | instructions | **not run** | **FAILED** |", text)

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
            self.assertEqual(bool(report.against(goal)), bool(goal.against), goal)
            for kernel, case, _ in filter(None, (goal.figure, goal.against)):
                self.assertIn(kernel, BY_NAME[case].kernels)
        for entry in summary.ENTRIES:
            for kernel, case, _ in (entry.without, entry.having):
                self.assertIn(kernel, BY_NAME[case].kernels)

    def test_hardware(self):
        """Nothing of it runs in the emulator, counts instructions, or says it did."""
        for case in available("kvm"):
            self.assertEqual(case.machine()["accel"], "kvm")
            self.assertNotIn("-icount", case.machine()["extra"])
            self.assertNotIn("instructions", case.unit + case.how)
        what = measured(outcome("pages", "plain", **PLAIN), outcome("secret-events", "plain"))
        what.outcomes["secret-events", "plain"].figures = {"flushes": [38]}
        what.run["accel"] = "kvm"
        self.assertNotIn(110, [goal["limit"] for goal in goals.judge(what)])
        self.assertIn(80, [goal["limit"] for goal in goals.judge(what)])

    def test_bad_input(self):
        names = [case.name for case in CASES]
        for words, there in ((["nothing"], names), (["--accel", "nothing"], ["tcg", "kvm"]), (["ipi"], names)):
            done = subprocess.run([WORKBENCH / "bench.py", "--check", *words], stderr=subprocess.PIPE, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr.split("there are: ")[1].split(), there)

    def test_quick(self):
        """What a fault costs when nothing is ready is among the most important."""
        command = load_command()
        quick = command.chosen(mock.Mock(accel="tcg", cases=[], quick=True))
        self.assertLessEqual({"pages", "faults", "cold-page", "tail"}, {case.name for case in quick})
        self.assertNotIn("tail-8cpus", [case.name for case in quick])

    def test_touches(self):
        """The program that times single touches, on this machine's memory."""
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "touches"
            subprocess.run(["gcc", "-O2", "-static", "-o", program, WORKBENCH / "bench/touches.c"], check=True)
            for words in (("64", "wall"), ("64", "own"), ("64", "wall", "1")):
                done = subprocess.run([program, "memfd", *words], stdout=subprocess.PIPE, text=True, check=True)
                once = results.Outcome("tail", "base")
                run.take(BY_NAME["tail"], once, done.stdout.splitlines())
                self.assertEqual(list(once.figures), ["memfd-p50", "memfd-p99", "memfd-p99.9", "memfd-max"])
                values = [value for value, in once.figures.values()]
                self.assertEqual(values, sorted(values))
                self.assertGreater(values[0], 0)
            for words in ((), ("secret", "64"), ("secret", "0", "wall"), ("memfd", "64", "cpu"),
                          ("memfd", "64", "wall", "0"), ("memfd", "4", "wall", "2")):
                self.assertEqual(subprocess.run([program, *words], stderr=subprocess.DEVNULL, check=False)
                                 .returncode, 2, words)

    def test_irqs(self):
        """The allocator's functions are found, others of the same name are not."""
        symbols = """
Symbol table '.symtab' contains 7 entries:
   Num:    Value          Size Type    Bind   Vis      Ndx Name
     0: 0000000000000000     0 NOTYPE  LOCAL  DEFAULT  UND
     1: 0000000000000000     0 FILE    LOCAL  DEFAULT  ABS slub.c
     2: ffffffff81000000    16 FUNC    LOCAL  DEFAULT    1 init_nodes
     3: 0000000000000000     0 FILE    LOCAL  DEFAULT  ABS unmapped-zone.c
     4: ffffffff81000010   100 FUNC    LOCAL  DEFAULT    1 init_nodes
     5: ffffffff81000080  0x20 FUNC    LOCAL  DEFAULT    1 put.part.0
     6: ffffffff82000000     8 OBJECT  LOCAL  DEFAULT    2 data
     7: 0000000000000000     0 FILE    LOCAL  DEFAULT  ABS
     8: ffffffff810000c0    32 FUNC    GLOBAL DEFAULT    1 unmapped_zone_put
     9: ffffffff810000e0    32 FUNC    GLOBAL DEFAULT    1 kfree
"""
        self.assertEqual(irqs.functions(symbols, {"unmapped_zone_put"}),
                         ["ffffffff81000010 64 init_nodes", "ffffffff81000080 20 put.part.0",
                          "ffffffff810000c0 20 unmapped_zone_put"])
        with tempfile.TemporaryDirectory() as folder:
            image = pathlib.Path(folder)
            (image / "bench").mkdir()
            (image / "bench/it.irqs").write_text("put.part.0 7 2\nput 5 1\ninit_nodes 3 1\n")
            self.assertEqual(irqs.said(image, "it"), ["irqs-off 7", "irqs-off-init_nodes 3", "irqs-off-put 7"])
            (image / "bench/it.irqs").write_text("")
            self.assertEqual(irqs.said(image, "it"), [])

    def test_taken(self):
        """A unit of its own: the value is not for as much as the case does."""
        once = results.Outcome("scale-1gib", "plain")
        run.take(BY_NAME["scale-1gib"], once, ["calls 100", "locks 0.5 locks", "series 1 2 3 4", "phase load 2"])
        self.assertEqual(once.figures, {"calls": [200.0], "locks": [0.5]})
        self.assertEqual(once.units, {"calls": "events/GiB", "locks": "locks"})
        self.assertEqual((once.series, once.phases), ([(1.0, 2.0, 3.0, 4.0)], [("load", 2.0)]))

    def test_sums(self):
        what = measured(outcome("faults", "base", touch=[1.0, 2.0], close=[10.0, 20.0]))
        self.assertEqual(what.values("base", "faults", "touch+close"), [11.0, 22.0])
        with self.assertRaises(results.Missing) as missing:
            what.values("base", "faults", "touch+nothing")
        self.assertTrue(missing.exception.failed)

    def test_ratios(self):
        self.assertEqual(report.ratio([262144], [38]), "0.00014")
        self.assertEqual(report.ratio([0], [0]), "1")
        self.assertEqual(report.ratio([0], [5]), "from 0")
        self.assertEqual(report.ratio([10.0, 20.0], [5.0, 20.0]), "0.750 (0.500 to 1)")

    def run_command(self, said, *names):
        """The whole command, with jobs that say this; what it returned, printed, and wrote."""
        command = load_command()

        def job(_image, name, *_args, **_options):
            text = said(name)
            if isinstance(text, Exception):
                raise text
            return mock.Mock(said=text)

        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            out = pathlib.Path(folder)
            printed = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            for what in (mock.patch.object(vm, "run_job", job), mock.patch.object(run, "TOP", out),
                         mock.patch.object(run, "identity", lambda: measured().run),
                         mock.patch.object(run, "kernel_identity", lambda kernel: {
                             "release": "7", "config_sha256": "0" * 64, "image_sha256": "0" * 64}),
                         mock.patch.object(command, "OUT", {"tcg": out}), mock.patch.object(plots, "draw"),
                         mock.patch.object(sys, "argv", ["bench", *names])):
                stack.enter_context(what)
            with self.assertRaises(SystemExit) as ended:
                command.main()
            return ended.exception.code, printed.getvalue(), (out / "results.md").read_text(), \
                results.read(out / "results.jsonl")

    def test_a_vm_fails(self):
        """It is in the table, with its log, and the command fails; the others are measured."""
        for error in (vm.VMError("the console's end"), ConnectionResetError("the console's end")):
            status, printed, table, _ = self.run_command(
                lambda name: error if "rest-plain" in name else ["fork 5"], "rest", "processes")
            self.assertEqual(status, 1)
            self.assertIn("FAILED: rest, patched", printed)
            self.assertIn("the console's end", table)
            self.assertIn("| fork | instructions | 5 | **FAILED** | - |", table)
            self.assertIn("| fork | instructions/page | 5 | 5 | 1 |", table)

    def test_a_figure_is_missing(self):
        """That a goal wants: a failure, though every VM was fine."""
        rest = ["fork 5", "exec 5", "used-fork 5", "used-exec 5"]
        self.assertEqual(self.run_command(lambda name: rest, "rest")[0], 0)
        status, printed, table, _ = self.run_command(lambda name: ["page-pair 5"], "pages")
        self.assertEqual(status, 1)
        self.assertIn("bench: FAILED: order-0 alloc", printed)
        self.assertIn("**FAILED**", table)

    def test_not_run(self):
        """What a run that was interrupted, or is of some cases, lacks; no page is made of it."""
        class Stop(Exception):
            pass
        written = {}

        def write(path, what, cases, reached):
            results_write(path, what, cases, reached)
            written["back"] = results.read(path)
            written["text"] = report.markdown(what, reached, cases)
            raise Stop

        results_write = results.write
        with mock.patch.object(results, "write", write), self.assertRaises(Stop):
            self.run_command(lambda name: ["page-pair 5"], "rest", "pages")
        self.assertIn("| all | instructions | **not run** | **not run** |", written["text"])
        self.assertIn("rest", written["back"].incomplete(CASES))
        self.assertNotIn("pages", written["back"].incomplete([BY_NAME["pages"]]))
        self.assertIn("rest", load_command().unfit(written["back"]))


if __name__ == "__main__":
    unittest.main()
