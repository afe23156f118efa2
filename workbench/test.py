#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Everything that guards the project, in groups; the last line adds them up."""

import argparse
import os
import sys

from common import TOP, command
from test import FAILED, GROUPS, HOST, LONG, PASSED, Suite
from test.report import Totals, run_group


def default_groups(options):
    return [name for name in GROUPS
            if (options.all or name not in LONG) and (options.variant == "plain" or name not in HOST)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="plain")
    parser.add_argument("--all", action="store_true", help=f"the long ones, too: {', '.join(LONG)}")
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; default all but the long ones")
    options = parser.parse_args()
    unknown = [name for name in options.groups if name not in GROUPS]
    if unknown:
        sys.exit(f"test: error: there is no group {' '.join(unknown)}; there are: {' '.join(GROUPS)}")

    os.chdir(TOP)
    good, output = command(TOP / "workbench/bin/image", options.variant)
    if not good:
        sys.exit(f"test: error: {output}")
    totals, suite = Totals(), Suite(options.variant)
    for name in options.groups or default_groups(options):
        run_group(name, GROUPS[name], suite, totals)
    if not options.groups and not options.all:
        print(f"\nnot run, 'make test-all' does: {' '.join(LONG)}")
    print(f"\n{totals}")
    sys.exit(1 if totals[FAILED] or not totals[PASSED] else 0)


if __name__ == "__main__":
    main()
