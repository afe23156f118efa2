# SPDX-License-Identifier: GPL-2.0-only
"""BENCHMARKS.md and its pictures, from what a run left in build/bench."""

import shutil

from bench import cases, goals, plots, report, results

ALTS = {
    "directmap": "How much of the direct map is mapped by 4 KiB entries, over the life of a workload, in both kernels",
    "directmap-fragmented": "The same in fragmented memory",
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

METHOD = """## How it is measured

- **instructions**: QEMU's `-icount` on one CPU, where the guest's clock counts them. Every case is run twice and fails if the
  two runs differ in the last digit. The CPU has neither `erms` nor `fsrm`, so that clearing a page is 512 stores.
- **events** are what the emulator can't price, counted by the kernel: `flush_tlb_kernel_range` and `unmapped_zone_*` by kprobes
  (the latter each take a zone's lock once), splits of the direct map's entries by `/proc/vmstat`, calls between CPUs by
  `/proc/interrupts`. One run; what others do at the same time is counted too.
- **wall** is time in the emulator with a thread for each CPU, in ticks of the virtual clock. Only ratios mean something: what is
  compared takes turns, kernels VM by VM, kinds within a VM, and the ratio is taken round by round: median (least to most).
  All other CPUs are kept busy, as only then it costs something to interrupt them. Where the host has fewer CPUs than the
  VM, a call between CPUs also waits for the host to run the other one.
- **The per-page way** is what was proposed for guest_memfd before: each page is removed from the direct map by itself, with a flush
  of its own. Here a module does that to the pages of a file, once they are there and before the clock is read; the
  way back is part of the end.

A name in the tables tells what was done, to what, and what was measured. `page`: `alloc_pages()`; `zeroed`: with `__GFP_ZERO`; `unmapped`:
the allocator; `o3`: order 3; `cold`: nothing is ready; `pair`: one allocated, freed, and again; `used-`: while unmapped pages are in use;
`again-`: the second time; without either, allocators are warm; `gmem-mapped`, `-unmapped`: guest_memfd with the flag off, on; `fallocate-fault`: both, one after the other;
`fault`: what a guest's first touch does; `touch`: by the VMM through its mapping; `end`: after `fault`, all of it given back.

### The fields of results.jsonl

"""


def pictures(drawn):
    lines = ["## Pictures", ""]
    for name in drawn:
        lines += [f"![{ALTS[name]}](benchmarks/{name}.svg)", ""]
    return lines


def write(top, out):
    """Raises OSError if nothing was measured."""
    measured = results.read(out / "results.jsonl")
    reached = goals.judge(measured)
    run = [case for case in cases.CASES if case.name in measured.run["cases"]]
    folder = top / "benchmarks"
    folder.mkdir(exist_ok=True)
    drawn = plots.draw(measured, folder)
    shutil.copy(out / "results.jsonl", folder)
    fields = results.__doc__.split("\n\n", 1)[1].rstrip()
    text = HEAD + "\n".join(pictures(drawn)) + "\n" + report.markdown(measured, reached, run) + \
        "\n" + METHOD + "```\n" + fields + "\n```\n"
    (top / "BENCHMARKS.md").write_text(text)
    missing = [case.name for case in cases.CASES if case.name not in measured.run["cases"]]
    return missing
