#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a command can decide of what a maintainer will ask of the series.

A finding that workbench/check/leftovers does not list fails, and so does what
it lists in vain.
"""

import argparse
import contextlib
import os
import sys
import threading
import time

from check import ITEMS, item, leftovers
from check.item import Broken
from common import LINUX, TOP, git_linux


@contextlib.contextmanager
def ticking():
    """Say every 20 seconds where the check is."""
    start, over = time.monotonic(), threading.Event()

    def tick():
        while not over.wait(20):
            print(f"  {time.monotonic() - start:4.0f}s  {item.at[0]}", flush=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def run(name, function, kept):
    """Run one check, say what came out; returns if it is good."""
    print(f"check: {name}: {function.__doc__}", flush=True)
    start, item.at[0] = time.monotonic(), ""
    try:
        with ticking():
            outcome = function()
        if not outcome.looked_at:
            raise Broken("it looked at nothing")
    except (Broken, OSError, ValueError, KeyError, TypeError) as error:
        lines, said = [f"could not decide: {error}"], ""
    else:
        unlisted, stale = leftovers.sift(name, outcome.findings, kept)
        lines = unlisted + [f"no longer found, but listed in {leftovers.FILE.relative_to(TOP)}: {line}" for line in stale]
        said = f"{outcome.looked_at} {outcome.what}, {len(outcome.findings) - len(unlisted)} leftovers, "
    for line in lines:
        print("\n".join(f"    | {part}" for part in line.splitlines()), flush=True)
    print(f"{'not ok' if lines else 'ok':7}{name}: {said}{time.monotonic() - start:.0f} s", flush=True)
    return not lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("items", nargs="*", help=f"of {', '.join(ITEMS)}; default all")
    items = parser.parse_args().items or list(ITEMS)
    unknown = [name for name in items if name not in ITEMS]
    if unknown:
        sys.exit(f"check: error: there is no check {' '.join(unknown)}; there are: {' '.join(ITEMS)}")
    if not (LINUX / ".git").exists() or git_linux("status", "--porcelain"):
        sys.exit("check: error: build/linux is not there, or has edits that are not committed")
    os.chdir(TOP)
    kept = leftovers.read()
    lost = sorted({leftover.check for leftover in kept} - set(ITEMS))
    if lost:
        sys.exit(f"check: error: {leftovers.FILE.relative_to(TOP)} names {' '.join(lost)}, which is no check")
    good = [run(name, ITEMS[name], kept) for name in items]
    print(f"\n{sum(good)} passed, {len(good) - sum(good)} failed; logs: build/log/check-*.log")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
