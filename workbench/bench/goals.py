# SPDX-License-Identifier: GPL-2.0-only
"""What is to be reached, and whether it is."""

import dataclasses
import statistics

from bench.cases import BY_NAME
from bench.results import Missing


@dataclasses.dataclass(frozen=True)
class Goal:
    """A figure, (kernel, case, name), at most the limit; or against another one:
    their ratio, the percents or the instructions that it is above the other."""
    text: str
    figure: tuple
    limit: float
    against: tuple = None
    compare: str = "ratio"      # ratio, percent, difference
    least: bool = False         # the limit is the least that is wanted
    derive: object = None       # what makes the value of the results, if no figure does

    def values(self, results):
        """One for each run or round. Raises Missing."""
        if self.derive:
            return [self.derive(results)]
        values = results.values(*self.figure)
        if not self.against:
            return values
        others = results.values(*self.against)
        return [COMPARE[self.compare](value, other) for value, other in zip(values, others)]

    def counts(self, accel):
        """Those of instructions say nothing about a processor's time."""
        return accel == "tcg" or BY_NAME[self.figure[1]].how != "instructions"

    @property
    def wanted(self):
        unit = {"percent": " %", "difference": " more"}.get(self.compare, "")
        return f"{'at least' if self.least else 'at most'} {self.limit}{unit}"

    def reached(self, value):
        return value >= self.limit if self.least else value <= self.limit


COMPARE = {
    "ratio": lambda value, other: value / other,
    "percent": lambda value, other: 100 * (value / other - 1),
    "difference": lambda value, other: value - other,
}


def lock_rounds(results):
    """Order-0 operations for each time that a zone's lock is taken."""
    outcome = results.outcomes.get(("8cpu", "plain"))
    if not outcome or outcome.status != "ok":
        raise Missing("8cpu", "plain", outcome is not None)
    rounds = sum(statistics.median(values) for name, values in outcome.figures.items()
                 if name.startswith("unmapped_zone"))
    if not rounds:
        raise Missing("8cpu", "plain", True)
    return 2 * 262144 / rounds


def base(case, figure):
    return "base", case, figure


def plain(case, figure):
    return "plain", case, figure


def gmem(text, case, figure, limit):
    """guest_memfd without a direct map against one that has it, on the same kernel."""
    return Goal(text, plain(case, f"gmem-unmapped-{figure}"), limit,
                plain(case, f"gmem-mapped-{figure}"))


def times_faster(text, figure):
    return Goal(text, plain("gmem-perpage-wall", f"gmem-perpage-{figure}"), 5,
                plain("gmem-perpage-wall", f"gmem-unmapped-{figure}"), least=True)


GOALS = [
    Goal("order-0 alloc + free, zeroed: unmapped / `alloc_page()`",
         plain("pages", "unmapped-pair"), 0.65, base("pages", "page-zeroed-pair")),
    Goal("order-0 alloc from a warm list, instructions", plain("pages", "unmapped-alloc"), 110),
    Goal("first touch of `memfd_secret`: patched / untouched",
         plain("faults", "secret-touch"), 0.74, base("faults", "secret-touch")),
    Goal("first touch: `memfd_secret` patched / `memfd_create` untouched",
         plain("faults", "secret-touch"), 0.85, base("faults", "memfd-touch")),
    Goal("close of `memfd_secret`: patched / untouched",
         plain("faults", "secret-close"), 0.75, base("faults", "secret-close")),
    Goal("flushes of kernel ranges for 1 GiB of faults, 2 CPUs",
         plain("2cpu", "flush_tlb_kernel_range"), 80),
    Goal("2 MiB splits for 1 GiB of faults", plain("2cpu", "direct_map_level2_splits"), 0),
    Goal("`alloc_page()` + `__free_page()`: instructions above untouched",
         plain("pages", "page-pair"), 2, base("pages", "page-pair"), "difference"),
    Goal("the same while the allocator is in use: percent above untouched",
         plain("pages", "used-page-pair"), 1, base("pages", "page-pair"), "percent"),
    Goal("order-0 operations for each round of a zone's lock, 8 CPUs", plain("8cpu", ""), 32,
         least=True, derive=lock_rounds),

    gmem("guest_memfd: `fallocate()` and first touch by a guest, flag on / off", "gmem",
         "fallocate-fault", 1.05),
    gmem("guest_memfd: `fallocate()`, flag on / off", "gmem", "fallocate", 1.05),
    gmem("guest_memfd: first touch by a guest, flag on / off", "gmem", "fault", 1.05),
    gmem("guest_memfd: `fallocate()` and first touch by a guest, nothing cached, flag on / off",
         "gmem", "cold-fallocate-fault", 1.05),
    gmem("guest_memfd: first touch by a guest, nothing cached, flag on / off", "gmem", "cold-fault", 1.05),
    gmem("guest_memfd, 1 GiB: `fallocate()` and first touch by a guest, flag on / off", "gmem-1gib",
         "fallocate-fault", 1.05),
    gmem("guest_memfd, 1 GiB: first touch by a guest, flag on / off", "gmem-1gib", "fault", 1.05),
    gmem("guest_memfd: `fallocate()` and first touch, flag on / off, time, 4 CPUs", "gmem-wall",
         "fallocate-fault", 1.10),
    gmem("guest_memfd: first touch by a guest, flag on / off, time, 4 CPUs", "gmem-wall",
         "fault", 1.10),
    times_faster("guest_memfd: `fallocate()` and first touch, time, 4 CPUs, per-page way / flag on",
                 "fallocate-fault"),
    times_faster("guest_memfd: first touch by a guest, time, 4 CPUs, per-page way / flag on",
                 "fault"),
    Goal("guest_memfd: flushes of kernel ranges a GiB, 2 CPUs",
         plain("gmem-events", "flush_tlb_kernel_range"), 80),
    Goal("guest_memfd: 2 MiB splits a GiB", plain("gmem-events", "direct_map_level2_splits"), 0),
]


def judge(results):
    """A record for each goal; those of cases that were not to be run are left out."""
    records = []
    for goal in GOALS:
        if not goal.counts(results.accel):
            continue
        record = {"goal": goal.text, "limit": goal.limit, "least": goal.least}
        try:
            values = goal.values(results)
            value = statistics.median(values)
            record.update(value=value, verdict="met" if goal.reached(value) else "not met")
            if len(set(values)) > 1:
                record["values"] = values
        except Missing as missing:
            if not missing.failed:
                continue
            record.update(value=None, verdict="failed")
        records.append(record)
    return records
