#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the series costs and saves, next to the untouched kernel: run the cases,
write results, tables and plots to build/bench, say which goals are met."""

import argparse
import datetime
import os
import pathlib
import re
import shutil
import sys
import time

from bench import goals, page, plots, report, results, run
from bench.cases import BY_NAME, CASES, available

# What is measured in the emulator, and below it what hardware said.
OUT = {"tcg": run.TOP / "build/bench", "kvm": run.TOP / "build/bench/kvm"}


def chosen(options):
    cases = available(options.accel)
    names = [case.name for case in cases]
    unknown = [name for name in options.cases if name not in names]
    if unknown:
        sys.exit(f"bench: error: there is no case {' '.join(unknown)} with ACCEL={options.accel}; "
                 f"there are: {' '.join(names)}")
    return [case for case in cases
            if (case.name in options.cases if options.cases else
                case.quick or case.group == "hardware" or not options.quick)]


def check_tools():
    if not shutil.which("gnuplot"):
        sys.exit("bench: error: gnuplot is not installed; 'make deps' does that")


def check_accel(accel):
    """Real time needs a processor's virtualization; never take another way silently."""
    if accel not in OUT:
        sys.exit(f"bench: error: there is no ACCEL={accel}; there are: {' '.join(OUT)}")
    if accel == "tcg":
        return
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        sys.exit("bench: error: ACCEL=kvm needs /dev/kvm, which is not there or not ours to use")
    # There are implementations of /dev/kvm in software; they have no TLB to tell of.
    if not re.search(r"^flags\s*:.* (vmx|svm)\b", pathlib.Path("/proc/cpuinfo").read_text(), re.M):
        sys.exit("bench: error: ACCEL=kvm needs a processor with virtualization, and /proc/cpuinfo "
                 "has neither vmx nor svm; without ACCEL=, the emulator measures")
    if not shutil.which("perf"):
        sys.exit("bench: error: ACCEL=kvm needs perf; as root: apt-get install linux-perf")


def measure(cases, accel, quick):
    """All cases, on the kernels they are for."""
    measured = results.Results()
    now = datetime.datetime.now(datetime.timezone.utc)
    measured.run = {**run.identity(), "quick": quick, "cases": [case.name for case in cases],
                    "accel": accel, "host_cpus": os.cpu_count(),
                    "started": now.strftime("%Y-%m-%d %H:%M UTC")}
    measured.kernels = {kernel: run.kernel_identity(kernel) for kernel in run.IMAGES}
    start = time.monotonic()
    for case in cases:
        for kernel, outcome in run.run_case(case).items():
            measured.outcomes[case.name, kernel] = outcome
        measured.run["seconds"] = round(time.monotonic() - start)
        keep(measured, cases)
    return measured


def keep(measured, cases):
    """Written after each case, so that a run that is interrupted is not lost; it
    says what did not run then."""
    out = OUT[measured.accel]
    out.mkdir(parents=True, exist_ok=True)
    reached = goals.judge(measured)
    results.write(out / "results.jsonl", measured, cases, reached)
    (out / "results.md").write_text(report.markdown(measured, reached, cases))
    return reached


def tell(measured, reached):
    print("\n" + "\n".join(report.goals_table(reached)))
    met = [goal for goal in reached if goal["verdict"] == "met"]
    print(f"\nbench: {len(met)} of {len(reached)} goals are met, "
          f"{len(goals.GOALS) - len(reached)} were not measured")
    for goal in reached:
        if goal["verdict"] != "met":
            print(f"bench: {goal['verdict'].upper()}: {goal['goal']}")
    for outcome in measured.failures():
        print(f"bench: FAILED: {outcome.case}, {outcome.kernel}")
    out = OUT[measured.accel]
    print(f"bench: {measured.run['seconds']} seconds; all of it is in {out.relative_to(run.TOP)}/")


def failed(measured, reached):
    """A goal that is not met is a result; one that lacks its figure is a failure."""
    return bool(measured.failures()) or any(goal["verdict"] == "failed" for goal in reached)


# What a figure means is written there: what measures, not what shows it.
MEANING = ("workbench/vm.py", "workbench/vm/lib.sh", "workbench/bench/*.c", "workbench/bench/*.h",
           "workbench/bench/run.py", "workbench/bench/cases.py",
           *sorted({f"workbench/vm/jobs/{case.job}" for case in CASES}))


def unfit(measured):
    """Why no page is to be made of these results, None if it may be."""
    commit = measured.run["commit"]
    missing = measured.incomplete(CASES)
    if missing:
        return f"these cases were not measured, or not on both kernels: {' '.join(missing)}"
    if measured.run["dirty"]:
        return "there were edits that are not committed"
    if not run.same(commit, MEANING):
        return f"what was measured, at {commit[:12]}, is not what is measured now"
    return None


def write_page():
    """Of the emulator's figures, which are the same everywhere."""
    out = OUT["tcg"]
    try:
        measured = results.read(out / "results.jsonl")
    except OSError as error:
        sys.exit(f"bench: error: nothing to write about, 'make bench' measures: {error}")
    why_not = unfit(measured)
    if why_not:
        sys.exit(f"bench: error: BENCHMARKS.md is made of a whole run: {why_not}; run 'make bench'")
    page.write(run.TOP, out, measured)
    print("bench: wrote BENCHMARKS.md")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say if this can't be run")
    parser.add_argument("--page", action="store_true",
                        help="write BENCHMARKS.md of the last run, measure nothing")
    parser.add_argument("--quick", action="store_true", help="the most important cases only")
    parser.add_argument("--accel", default="tcg", help="tcg: the emulator; kvm: a processor, in real time")
    parser.add_argument("cases", nargs="*", help=f"of {' '.join(BY_NAME)}; default all")
    return parser.parse_args()


def main():
    options = arguments()
    check_accel(options.accel)
    cases = chosen(options)
    check_tools()
    if options.page:
        return write_page()
    if options.check:
        return None

    measured = measure(cases, options.accel, options.quick)
    reached = keep(measured, cases)
    tell(measured, reached)
    plots.draw(measured, OUT[options.accel])
    return sys.exit(failed(measured, reached))


if __name__ == "__main__":
    main()
