# SPDX-License-Identifier: GPL-2.0-only
"""Running groups, and saying what came out."""

import time

import vm

from .suite import FAILED, PASSED, SKIPPED


class Totals(dict):
    """How many tests have which verdict."""

    def __init__(self):
        super().__init__({PASSED: 0, FAILED: 0, SKIPPED: 0})

    def __str__(self):
        return f"{self[PASSED]} passed, {self[FAILED]} failed, {self[SKIPPED]} skipped"


def say(verdict, name, detail=""):
    print(f"{verdict:7}{name}", flush=True)
    if verdict == FAILED and detail:
        print("\n".join(f"    | {line}" for line in detail.splitlines()[-40:]), flush=True)


def run_group(name, function, suite, totals):
    print(f"\n== {name}: {function.__doc__}", flush=True)
    start = time.monotonic()
    try:
        for test, verdict, detail in function(suite):
            totals[verdict] += 1
            say(verdict, test, detail)
    except vm.VMError as error:
        totals[FAILED] += 1
        say(FAILED, name, str(error))
    print(f"   ({time.monotonic() - start:.0f} s)", flush=True)
