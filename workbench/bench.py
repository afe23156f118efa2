#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the allocator costs, next to the untouched kernel: a table of figures,
each with its goal.

Instructions come from QEMU's -icount on one CPU, where the guest's clock counts
them: the same run gives the same figures. The CPU model has neither erms nor
fsrm, and is one whose string instructions Linux trusts (AMD family 0x10, see
early_init_amd()), so that clearing a page counts 512 stores. Events that the emulator can't
price come from a VM with two CPUs, where the kernel counts them.
"""

import argparse
import json
import pathlib
import sys

import vm

TOP = pathlib.Path(__file__).resolve().parent.parent
OUT = TOP / "build" / "bench"
IMAGES = {"base": TOP / "build/x86_64-base", "plain": TOP / "build/x86_64"}

ICOUNT = ("-icount", "shift=0,sleep=off")
MODEL = "max,+svm,-erms,-fsrm,vendor=AuthenticAMD,family=16"

# A name, virtual CPUs, programs at once, MiB of each, the program.
EVENTS = [
    ("2cpu", 2, 1, 1024, ("faults", "secret")),
    ("8cpu", 8, 8, 128, ("faults", "secret")),
    # Populates three guests, one after the other.
    ("gmem", 2, 1, 1024, ("gmem", "unmapped")),
]


def figures(machine):
    return {name: float(value) for name, value in (line.split() for line in machine.said)}


def run(variant):
    """All figures of a kernel."""
    print(f"bench: {variant}: instructions", flush=True)
    result = figures(vm.run_job(IMAGES[variant], f"cost-{variant}", "cost", timeout=600, memory=1024,
                                cpus=1, model=MODEL, extra=ICOUNT))
    for name, cpus, programs, mib, program in EVENTS:
        if name == "gmem" and variant == "base":
            continue
        print(f"bench: {variant}: events, {name}, {cpus} CPUs", flush=True)
        events = figures(vm.run_job(IMAGES[variant], f"events-{variant}-{name}", "events",
                                    [str(programs), str(mib), *program], timeout=900,
                                    memory=4096, cpus=cpus, model=MODEL))
        result.update({f"{name}-{event}": value for event, value in events.items()})
    return result


def lock_rounds(figures):
    """Order-0 operations for each time that a zone's lock is taken."""
    rounds = sum(value for name, value in figures.items() if name.startswith("8cpu-unmapped_zone"))
    return 2 * 8 * 128 * 256 / rounds


# What it is called, how it comes from the figures of both kernels, the goal: at
# most that, or at least if it is negative.
ROWS = [
    ("order-0 alloc + free, zeroed: unmapped / alloc_page()",
     lambda base, plain: plain["unmapped-pair"] / base["page-zeroed-pair"], 0.65),
    ("order-0 alloc from a warm list, instructions",
     lambda base, plain: plain["unmapped-alloc"], 110),
    ("first touch of memfd_secret: patched / untouched",
     lambda base, plain: plain["secret-touch"] / base["secret-touch"], 0.74),
    ("first touch: memfd_secret patched / memfd_create untouched",
     lambda base, plain: plain["secret-touch"] / base["memfd-touch"], 0.85),
    ("close of memfd_secret: patched / untouched",
     lambda base, plain: plain["secret-close"] / base["secret-close"], 0.75),
    ("flushes of kernel ranges for 1 GiB of faults, 2 CPUs",
     lambda base, plain: plain["2cpu-flush_tlb_kernel_range"], 80),
    ("2 MiB splits for 1 GiB of faults",
     lambda base, plain: plain["2cpu-direct_map_level2_splits"], 0),
    ("alloc_page() + __free_page(): instructions above untouched",
     lambda base, plain: plain["page-pair"] - base["page-pair"], 2),
    ("the same while the allocator is in use: percent above untouched",
     lambda base, plain: 100 * (plain["used-page-pair"] / base["page-pair"] - 1), 1),
    ("guest_memfd: fallocate() and first touch by a guest, NO_DIRECT_MAP / without",
     lambda base, plain: plain["gmem-unmapped-fallocate-fault"] / plain["gmem-mapped-fallocate-fault"], 1.05),
    ("guest_memfd: first touch by a guest, NO_DIRECT_MAP / without",
     lambda base, plain: plain["gmem-unmapped-fault"] / plain["gmem-mapped-fault"], 1.05),
    ("guest_memfd: flushes of kernel ranges a GiB, 2 CPUs",
     lambda base, plain: plain["gmem-flush_tlb_kernel_range"] / 3, 80),
    ("guest_memfd: 2 MiB splits a GiB",
     lambda base, plain: plain["gmem-direct_map_level2_splits"] / 3, 0),
    ("order-0 operations for each round of a zone's lock, 8 CPUs",
     lambda base, plain: lock_rounds(plain), -32),
]


def table(base, plain):
    lines = ["| what | measured | goal | |", "|---|---|---|---|"]
    met = True
    for name, figure, goal in ROWS:
        value = figure(base, plain)
        good = value <= goal if goal >= 0 else value >= -goal
        met = met and good
        wanted = f"at most {goal}" if goal >= 0 else f"at least {-goal}"
        lines.append(f"| {name} | {value:.2f} | {wanted} | {'met' if good else 'NOT met'} |")
    lines += ["", "| figure | untouched | patched |", "|---|---|---|"]
    for name in sorted(base.keys() | plain.keys()):
        shown = [f"{figures[name]:.2f}" if name in figures else "-" for figures in (base, plain)]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines), met


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    try:
        base, plain = run("base"), run("plain")
    except vm.VMError as error:
        sys.exit(f"bench: error: {error}")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "alloc.json").write_text(json.dumps({"base": base, "plain": plain}, indent=1) + "\n")
    text, met = table(base, plain)
    (OUT / "alloc.md").write_text(text + "\n")
    print(text)
    print("\nbench:", "all goals are met" if met else "some goals are not met")


if __name__ == "__main__":
    main()
