#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the series costs and saves, next to the untouched kernel: run the cases,
write results, tables and plots to build/bench, say which goals are met."""

import argparse
import datetime
import os
import sys
import time

from bench import goals, page, plots, report, results, run
from bench.cases import BY_NAME, CASES

OUT = run.TOP / "build" / "bench"


def chosen(options):
    unknown = [name for name in options.cases if name not in BY_NAME]
    if unknown:
        sys.exit(f"bench: error: there is no case {' '.join(unknown)}; "
                 f"there are: {' '.join(BY_NAME)}")
    return [case for case in CASES
            if (case.name in options.cases if options.cases else case.quick or not options.quick)]


def check_accel(accel):
    """Real time needs a processor's virtualization; never take another way silently."""
    if accel == "tcg":
        return
    if accel == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        sys.exit("bench: error: ACCEL=kvm needs /dev/kvm, which is not there or not ours to use")
    sys.exit(f"bench: error: ACCEL={accel} is not there yet; there is only tcg")


def measure(cases, quick):
    """All cases, on the kernels they are for."""
    measured = results.Results()
    now = datetime.datetime.now(datetime.timezone.utc)
    measured.run = {**run.identity(), "quick": quick, "cases": [case.name for case in cases],
                    "accel": "tcg", "host_cpus": os.cpu_count(),
                    "started": now.strftime("%Y-%m-%d %H:%M UTC")}
    measured.kernels = {kernel: run.kernel_identity(kernel) for kernel in run.IMAGES}
    start = time.monotonic()
    for number, case in enumerate(cases, 1):
        for kernel, outcome in run.run_case(case).items():
            measured.outcomes[case.name, kernel] = outcome
        measured.run["seconds"] = round(time.monotonic() - start)
        keep(measured, cases[:number])
    return measured


def keep(measured, cases):
    """Written after each case, so that a run that is interrupted is not lost."""
    OUT.mkdir(parents=True, exist_ok=True)
    reached = goals.judge(measured)
    results.write(OUT / "results.jsonl", measured, cases, reached)
    (OUT / "results.md").write_text(report.markdown(measured, reached))
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
    print(f"bench: {measured.run['seconds']} seconds; all of it is in {OUT.relative_to(run.TOP)}/")


# What the tables say of a figure is written there.
MEANING = ("workbench/bench/cases.py", "workbench/bench/goals.py", "workbench/vm/jobs")


def write_page():
    try:
        commit = results.read(OUT / "results.jsonl").run["commit"]
        if not run.same(commit, MEANING):
            sys.exit(f"bench: error: what was measured, at {commit[:12]}, is not what is measured now; "
                     "run 'make bench' again")
        missing = page.write(run.TOP, OUT)
    except OSError as error:
        sys.exit(f"bench: error: nothing to write about, 'make bench' measures: {error}")
    print("bench: wrote BENCHMARKS.md" +
          f"; not measured in that run: {' '.join(missing)}" * bool(missing))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say if this can't be run")
    parser.add_argument("--page", action="store_true",
                        help="write BENCHMARKS.md of the last run, measure nothing")
    parser.add_argument("--quick", action="store_true", help="the most important cases only")
    parser.add_argument("--accel", default="tcg", help="tcg")
    parser.add_argument("cases", nargs="*", help=f"of {' '.join(BY_NAME)}; default all")
    return parser.parse_args()


def main():
    options = arguments()
    check_accel(options.accel)
    cases = chosen(options)
    if options.page:
        return write_page()
    if options.check:
        return None

    measured = measure(cases, options.quick)
    reached = keep(measured, cases)
    plots.draw(measured, OUT)
    tell(measured, reached)
    return sys.exit(1 if measured.failures() else 0)


if __name__ == "__main__":
    main()
