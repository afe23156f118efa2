# SPDX-License-Identifier: GPL-2.0-only
"""The best, the usual and the worst, for those who read one table only."""

import dataclasses

from bench.goals import base, plain
from bench.report import ratio, rows, spread
from bench.results import Missing


@dataclasses.dataclass(frozen=True)
class Entry:
    how: str            # best, usual, worst, unused
    text: str
    without: tuple      # figures, see goals.py
    having: tuple
    why: str


def both(case, figure):
    return base(case, figure), plain(case, figure)


ENTRIES = [
    Entry("best", "first touches of 1 MiB of secrets while 3 other CPUs are busy, ticks a page",
          *both("secret-wall", "secret-touch"), "nobody is interrupted for a page"),
    Entry("best", "flushes of kernel ranges for 1 GiB of secrets",
          *both("secret-events", "flushes"), "one flush for up to 16 blocks of 2 MiB"),
    Entry("usual", "32 MiB of secrets, first touch and close, instructions a page",
          *both("faults", "secret-touch+secret-close"), "no change of the direct map for a page"),
    Entry("usual", "32 MiB of a guest, first touch and giving back, flag off and on, instructions a page",
          plain("gmem", "gmem-mapped-fault+gmem-mapped-end"),
          plain("gmem", "gmem-unmapped-fault+gmem-unmapped-end"),
          "the page is clear already, and is cleared when it is freed instead"),
    Entry("worst", "a secret of 4 KiB when nothing is cached, first touch, instructions",
          *both("cold-page", "secret-4-cold-touch"), "a block of 2 MiB is taken and unmapped for it"),
    Entry("worst", "the slowest of 65536 first touches when nothing is cached, instructions",
          *both("tail", "secret-max"), "the very first takes a block; untouched: the page allocator fills a per-CPU list with 2016 pages"),
    Entry("worst", "the slowest of 256 first touches by 8 CPUs at once, ticks",
          *both("tail-8cpus", "secret-max"), ""),
    Entry("worst", "2 MiB entries split for 128 MiB of secrets in memory without 2 MiB in one piece",
          *both("life-fragmented", "splits-2M"),
          "there is no block to be had; unlike before, the entries become large again"),
    Entry("unused", "`alloc_page()` and `__free_page()`, instructions",
          *both("pages", "page-pair"), "two bits of flags that are read anyway are tested"),
    Entry("unused", "exec, instructions", *both("rest", "exec"), ""),
]


def line(results, entry):
    try:
        without, having = results.values(*entry.without), results.values(*entry.having)
    except Missing as missing:
        return [entry.how, entry.text, "-", "-", "-", str(missing)]
    return [entry.how, entry.text, spread(without), spread(having), ratio(without, having), entry.why]


def table(results):
    return rows(["", "what", "without", "with", "ratio", "why"],
                [line(results, entry) for entry in ENTRIES])
