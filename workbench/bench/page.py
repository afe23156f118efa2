# SPDX-License-Identifier: GPL-2.0-only
"""BENCHMARKS.md and its pictures, from what a run left in build/bench."""

import pathlib
import shutil
import tempfile

from bench import cases, goals, plots, report, results, summary

ALTS = {
    "directmap": "How much of the direct map is mapped by 4 KiB entries, over the life of a workload, in both kernels",
    "directmap-fragmented": "The same where no 2 MiB of free memory are in one piece",
    "pages": "Instructions a page by system",
    "flushes": "Flushes of kernel TLB ranges for 1 GiB",
    "scaling": "Calls between CPUs by their number",
}

HEAD = """# Benchmarks

<!-- Written by 'make bench-page' from what 'make bench' measured. Edit workbench/bench instead. -->

The untouched kernel and the one with the series, built with the same options, doing the same. `make bench` measures all of
this again (`QUICK=1` a part, `CASE=` what it names), in QEMU's emulator, so on any machine; `make bench-page` writes this page.
All that was measured is in [benchmarks/results.jsonl](benchmarks/results.jsonl).

"""

SHORT = """The untouched kernel and the one with the series; for guests, the flag off and on. What the names mean is
[below](#how-it-is-measured)."""

METHOD = """## How it is measured

- **instructions**: QEMU's `-icount` on one CPU, where the guest's clock counts them. Every case is run twice and fails if the
  two runs differ in the last digit. The CPU has neither `erms` nor `fsrm`, so that clearing a page is 512 stores. What is the
  same from run to run still depends on where things are in memory: another kernel image or initramfs moves that, and with it
  how far buddies merge, by some percent of orders 3 and up and of what is cold. What works in the background at that moment
  is counted as well (a refill, in `memfd-4-touch` or `-close` for example), and so is waiting, which `end` therefore leaves out.
- **events** are what the emulator can't price, counted by the kernel: `flush_tlb_kernel_range`, `flush_tlb_all` and
  `unmapped_clear_page` by kprobes, `zone_lock` and `unmapped_zone_lock` (taking the locks of the page allocator's zones and of the
  allocator's) by a kprobe too, splits of the direct map's entries by `/proc/vmstat`, calls between CPUs by
  `/proc/interrupts`. One run; what others do at the same time is counted too. The emulator runs all CPUs in one thread then, so
  it says how often a lock is taken, not how long one waits for it.
- **`unmapped_clear_page`** is the price of the flushes that are gone: a page is cleared when it is freed, through a mapping of this CPU's
  alone, and ends with a flush of this page on this CPU. No other CPU hears of it. In **wall** time that costs the emulator much
  more than its instructions: as long as a CPU uses large pages, a flush of one page there drops all of what stands for its
  TLB (`CPUTLBDesc` in QEMU's `include/hw/core/cpu.h`), and a profile of QEMU shows it fill that three to four times as often
  while such memory is given back. What a processor takes for it, `ACCEL=kvm` would tell.
- **wall** is time in the emulator with a thread for each CPU, in ticks of the virtual clock. Only ratios mean something: what is
  compared takes turns, kernels VM by VM, kinds within a VM, and the ratio is taken round by round: median (least to most).
  All other CPUs are kept busy, as only then it costs something to interrupt them. Where the host has fewer CPUs than the
  VM, a call between CPUs also waits for the host to run the other one: the per-page way pays for that much more with 4 CPUs
  than with 2. What is the same in both kernels, `memfd`, says by its ratio how much is noise.
- **The per-page way** is what was proposed for guest_memfd before: each page is removed from the direct map by itself, with a flush
  of its own. Here a module does that to the pages of a file, once they are there and before the clock is read; the
  way back is part of the end.
- **The kernels** have the same options, in [workbench/config](workbench/config): those of the tests, so with page owner, allocation
  profiling (off at run time), failure injection and the counting of TLB flushes; the one with the series also has the
  allocator, and its tests as modules that are not loaded. The configuration is the same for `alloc_page()` and for what is
  compared with it.

A name in the tables tells what was done, to what, and what was measured. `page`: `alloc_pages()`; `zeroed`: with `__GFP_ZERO`; `unmapped`:
the allocator; `o3`: order 3; `cold`: nothing is ready, without it allocators are warm; `pair`: one allocated, freed, and again;
`used-`: while somebody has unmapped pages; `gmem-mapped`, `-unmapped`: guest_memfd with the flag off, on; `fallocate-fault`: both, one
after the other; `fault`: what a guest's first touch does; `touch`: by the VMM through its mapping; `end`: after `fault`, all of it
given back; `life`: of programs, from their fork to their end.

### The fields of results.jsonl

"""


def pictures(drawn):
    lines = ["## Pictures", ""]
    for name in drawn:
        lines += [f"![{ALTS[name]}](benchmarks/{name}.svg)", ""]
    return lines


def write(top, out, measured):
    """Nothing is touched before all of it is there. Raises DrawError, Missing."""
    folder = top / "benchmarks"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as drawing:
        drawing = pathlib.Path(drawing)
        drawn = plots.draw(measured, drawing)
        text = page(measured, drawn)
        for picture in drawing.iterdir():
            picture.replace(folder / picture.name)
    shutil.copy(out / "results.jsonl", folder)
    (top / "BENCHMARKS.md").write_text(text)


def page(measured, drawn):
    fields = results.__doc__.split("\n\n", 1)[1].rstrip()
    return HEAD + "\n".join(["## In short", "", SHORT, "", *summary.table(measured), "",
                             *pictures(drawn)]) + "\n" + \
        report.markdown(measured, goals.judge(measured), cases.CASES) + \
        "\n" + METHOD + "```\n" + fields + "\n```\n"
