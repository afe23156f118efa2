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
    why: str = ""               # it is not met

    def values(self, results):
        """One for each run or round. Raises Missing."""
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
        unit = {"percent": " %", "difference": " more", "difference105": " more"}.get(self.compare, "")
        return f"{'at least' if self.least else 'at most'} {self.limit}{unit}"

    def verdict(self, results):
        """Raises Missing if that was not to be measured."""
        try:
            value = statistics.median(self.values(results))
        except Missing as missing:
            if not missing.failed:
                raise
            return "failed"
        return "met" if (value >= self.limit if self.least else value <= self.limit) else "not met"


COMPARE = {
    "ratio": lambda value, other: value / other,
    "percent": lambda value, other: 100 * (value / other - 1),
    "difference": lambda value, other: value - other,
    "difference105": lambda value, other: value - 1.05 * other,
}


def base(case, figure):
    return "base", case, figure


def plain(case, figure):
    return "plain", case, figure


def gmem(text, case, figure, limit, *more):
    """guest_memfd without a direct map against one that has it, on the same kernel."""
    def of(kind):
        return plain(case, "+".join(f"gmem-{kind}-{name}" for name in (figure, *more)))
    return Goal(text, of("unmapped"), limit, of("mapped"))


def unused(text, figure, case="rest", **more):
    """What others do costs them nothing: no more than where the code is makes."""
    return Goal(text, plain(case, figure), NOISE, base(case, figure), "percent", **more)


# 144,962 and 145,234 instructions, by a program that also counts pages.
FORK_NOISE = "it takes the same kernel 0.19 % more when the program that measures is another one"


def text(what, figure, limit, **more):
    """Loading and unloading, by whomever it is done."""
    return Goal(f"{what}: patched / untouched", plain("text", figure), limit, base("text", figure), **more)


def dma_clears(size, pages):
    """A buffer is cleared, which the untouched kernel does not do."""
    return Goal(f"a DMA buffer of {size} without a kernel mapping, alloc + free: above 1.05 of untouched",
                plain("dma", f"dma-nomap-{pages * 4}-pair"), pages * 512,
                base("dma", f"dma-nomap-{pages * 4}-pair"), "difference105",
                why="beside the stores, each page is mapped to clear it, and checked")


def dma_iommu(size, kib):
    return Goal(f"the same behind an IOMMU, {size}: patched / untouched",
                plain("dma-iommu", f"dma-nomap-{kib}-pair"), 0.8, base("dma-iommu", f"dma-nomap-{kib}-pair"))


def punched(memory, kind, why):
    """A guest that gives back all but one page in 8, of memory that is without a
    direct map, or has one."""
    def goal(what, case, figure, limit, **more):
        other = case.replace(kind, "mapped")
        return Goal(f"a guest that keeps one page in 8, {memory}: {what}, flag on / off",
                    plain(case, f"punched-{kind}-{figure}"), limit, plain(other, f"punched-mapped-{figure}"), **more)
    return (goal("punching the others", "punched", "punch", 1.5, why=why),
            goal("punching the others, time, 4 CPUs", "punched-wall", "punch", 1.5,
                 why="a page is cleared when it is freed rather than allocated, which alone takes the emulator longer "
                     "than the free; and it flushes all of its TLB for each of two loads of a page table, here for 7 pages"),
            goal("what a program gets before it is killed", "punched", "hog", 0.97, least=True),
            goal("what a program gets before anything is swapped out", f"punched-{kind}-swap", "unswapped", 0.97,
                 least=True))


def times_faster(text, figure):
    return Goal(text, plain("gmem-perpage-wall", f"gmem-perpage-{figure}"), 5,
                plain("gmem-perpage-wall", f"gmem-unmapped-{figure}"), least=True)


# Instructions by which clearing makes the allocation of a page longer: 512 stores,
# and what is around them (page-zeroed-alloc less page-alloc).
CLEAR_PAGE = 526

# Percents that one kernel image differs from another for no reason in the code
# that runs: lines of caches that objects share, buckets of hashes, a timer's tick.
NOISE = 0.1

# The untouched kernel ignores the attribute behind an IOMMU.
SAME_WORK = "the untouched kernel's own figures for this work, with and without the attribute, differ by more"

GOALS = [
    Goal("order-0 alloc + free, zeroed: unmapped / `alloc_page()`",
         plain("pages", "unmapped-pair"), 0.80, base("pages", "page-zeroed-pair")),
    Goal("folios of order 0, allocated and freed in batches of 31: unmapped / zeroed `alloc_page()`",
         plain("pages", "unmapped-batch-pair"), 0.62, base("pages", "page-zeroed-pair")),
    Goal("order-0 alloc from a warm list, instructions", plain("pages", "unmapped-alloc"), 110),
    *(Goal(f"what profiling adds to order-0 alloc + free{how}: unmapped / `alloc_page()`",
           plain(case, "tagged-unmapped-pair+page-pair"), 5,
           plain(case, "tagged-page-pair+unmapped-pair"), "difference")
      for case, how in (("tags", ""), ("tags-compressed", ", compressed"))),
    Goal("first touch of `memfd_secret`: patched / untouched",
         plain("faults", "secret-touch"), 0.72, base("faults", "secret-touch")),
    Goal("first touch: `memfd_secret` patched / `memfd_create` untouched",
         plain("faults", "secret-touch"), 0.85, base("faults", "memfd-touch")),
    Goal("first touch of `memfd_secret` with 2 MiB folios, nothing cached: patched / untouched, single pages",
         plain("large", "large-cold-touch"), 0.2, base("faults", "secret-touch")),
    Goal("the same once more", plain("large", "large-touch"), 0.2, base("faults", "secret-touch")),
    Goal("close of `memfd_secret` with 2 MiB folios: patched / untouched, single pages",
         plain("large", "large-close"), 0.15, base("faults", "secret-close")),
    Goal("close of `memfd_secret`: patched / untouched",
         plain("faults", "secret-close"), 0.45, base("faults", "secret-close")),
    Goal("a secret of 4 KiB when nothing is cached, first touch: patched / untouched",
         plain("cold-page", "secret-4-cold-touch"), 1.3, base("cold-page", "secret-4-cold-touch")),
    Goal("each first touch of 256 MiB, nothing cached: median, instructions",
         plain("tail", "secret-p50"), 3835),
    Goal("each first touch of 256 MiB: 99 % of them, instructions", plain("tail", "secret-p99"), 14627),
    Goal("each first touch of 256 MiB: 99.9 % of them, instructions",
         plain("tail", "secret-p99.9"), 20000),
    Goal("each first touch of 256 MiB: the slowest, instructions", plain("tail", "secret-max"), 60000),
    Goal("first touches by 8 CPUs at once: the slowest, time, patched / untouched",
         plain("tail-8cpus", "secret-max"), 1, base("tail-8cpus", "secret-max")),
    Goal("instructions with interrupts off in the allocator: at most as many as clear 32 pages",
         plain("irqs", "irqs-off"), 32 * CLEAR_PAGE),
    Goal("flushes of kernel ranges for 1 GiB of faults, 2 CPUs",
         plain("secret-events", "flushes"), 80),
    Goal("2 MiB splits for 1 GiB of faults", plain("secret-events", "direct_map_level2_splits"), 0),
    Goal("`alloc_page()` + `__free_page()`: instructions above untouched",
         plain("pages", "page-pair"), 2, base("pages", "page-pair"), "difference"),
    Goal("the same while the allocator is in use: percent above untouched",
         plain("pages", "used-page-pair"), 1, base("pages", "page-pair"), "percent"),
    Goal("the free of order 4, which has no lists per CPU: instructions above untouched",
         plain("orders", "page-o4-free"), 2, base("orders", "page-o4-free"), "difference",
         why="how far buddies merge differs by hundreds of instructions from one kernel image to the next"),
    unused("fork, nobody has unmapped pages: percent above untouched", "fork", why=FORK_NOISE),
    unused("exec, nobody has unmapped pages: percent above untouched", "exec"),
    unused("fork while 64 MiB of secrets are kept: percent above untouched", "used-fork", why=FORK_NOISE),
    unused("exec while 64 MiB of secrets are kept: percent above untouched", "used-exec"),
    unused("the free of a page near a fragment: percent above untouched", "page-near-free", "near",
           why="only in pageblocks with fragments, a bitmap tells which pages are the allocator's: 15 instructions"),
    Goal("order-0 operations for each time that the lock of one of its zones is taken, 8 CPUs",
         plain("scale-8cpus", "operations-per-unmapped-lock"), 32, least=True),

    gmem("guest_memfd: `fallocate()` and first touch by a guest, flag on / off", "gmem",
         "fallocate-fault", 1.05),
    gmem("guest_memfd: `fallocate()`, flag on / off", "gmem", "fallocate", 1.05),
    gmem("guest_memfd: first touch by a guest, flag on / off", "gmem", "fault", 1.05),
    gmem("guest_memfd: `fallocate()` and giving back, flag on / off", "gmem",
         "fallocate", 1.05, "fallocate-end"),
    gmem("guest_memfd: first touch by a guest and giving back, flag on / off", "gmem",
         "fault", 1.05, "end"),
    gmem("guest_memfd: `fallocate()` and first touch by a guest, nothing cached, flag on / off",
         "gmem", "cold-fallocate-fault", 1.05),
    gmem("guest_memfd: first touch by a guest, nothing cached, flag on / off", "gmem", "cold-fault", 1.05),
    gmem("guest_memfd, 1 GiB: `fallocate()` of 2 MiB folios and first touch by a guest, flag on / off",
         "gmem-large", "fallocate-fault", 0.2),
    gmem("guest_memfd, 1 GiB: entries of the guest's page tables after that, flag on / off", "gmem-large",
         "fallocate-fault-entries", 0.002),
    gmem("guest_memfd, 1 GiB: first touch by a guest, flag on / off", "gmem-large", "fault", 1.05),
    gmem("guest_memfd: `fallocate()` and first touch, flag on / off, time, 4 CPUs", "gmem-wall",
         "fallocate-fault", 1.10),
    gmem("guest_memfd: first touch by a guest, flag on / off, time, 4 CPUs", "gmem-wall",
         "fault", 1.10),
    gmem("guest_memfd: first touch by a guest and giving back, flag on / off, time, 4 CPUs",
         "gmem-wall", "fault", 1.10, "end"),
    times_faster("guest_memfd: `fallocate()` and first touch, time, 4 CPUs, per-page way / flag on",
                 "fallocate-fault"),
    times_faster("guest_memfd: first touch by a guest, time, 4 CPUs, per-page way / flag on",
                 "fault"),
    Goal("guest_memfd: flushes of kernel ranges a GiB, 2 CPUs",
         plain("gmem-events", "flushes"), 80),
    *punched("single pages", "singles", ""),
    *punched("folios of 2 MiB", "folios", "each folio is split, page by page, before its pages are freed"),
    Goal("secrets when nothing but single pages is free, first touch: patched / untouched",
         plain("singles", "secret-touch"), 1.1, base("singles", "secret-touch")),
    Goal("the same: pages that kswapd reclaims, above untouched",
         plain("singles", "pgsteal_kswapd"), 0, base("singles", "pgsteal_kswapd"), "difference"),
    Goal("the same: times that kcompactd is woken, above untouched",
         plain("singles", "compact_daemon_wake"), 0, base("singles", "compact_daemon_wake"), "difference"),
    Goal("guest_memfd: 2 MiB splits a GiB", plain("gmem-events", "direct_map_level2_splits"), 0),

    text("load and unload of a module with 16 KiB of text, another one loaded", "module-warm-pair", 0.95,
         why="most of it is the module's data and symbols, for which nothing changes"),
    Goal("the same: flushes above untouched", plain("text-flushes", "module-warm-flushes"), -1,
         base("text-flushes", "module-warm-flushes"), "difference"),
    text("load and unload of a BPF program", "program-warm-pair", 1.00),
    text("load and unload of the first module since boot", "module-cold-pair", 1.10),

    Goal("a DMA buffer of 4 KiB without a kernel mapping, alloc + free: patched / untouched",
         plain("dma", "dma-nomap-4-pair"), 1.05, base("dma", "dma-nomap-4-pair"),
         why="clearing is 512 stores; the untouched kernel hands out what was in the page"),
    dma_clears("64 KiB", 16),
    dma_clears("2 MiB", 512),
    dma_iommu("64 KiB", 64),
    dma_iommu("2 MiB", 2048),
    *(unused(f"a DMA buffer of {kib} KiB with a kernel mapping{where}: percent above untouched",
             f"dma-mapped-{kib}-pair", case, why=why)
      for case, where, why in (("dma", "", ""), ("dma-iommu", ", behind an IOMMU", SAME_WORK))
      for kib in (4, 64, 2048)),
]


def judge(results):
    """A record for each goal; those of cases that were not to be run are left out."""
    records = []
    for goal in GOALS:
        if not goal.counts(results.accel):
            continue
        try:
            verdict = goal.verdict(results)
        except Missing:
            continue
        values = goal.values(results) if verdict != "failed" else []
        records.append({"goal": goal.text, "limit": goal.limit, "least": goal.least,
                        "value": statistics.median(values) if values else None, "verdict": verdict,
                        **({"values": values} if len(set(values)) > 1 else {})})
    return records
