# SPDX-License-Identifier: GPL-2.0-only
"""BENCHMARKS.md and its pictures, from what a run left in build/bench."""

import pathlib
import shutil
import tempfile

from bench import cases, goals, plots, report, results, summary

ALTS = {
    "directmap": "How much of the direct map is mapped by 4 KiB entries, over the life of a workload, in both kernels",
    "directmap-fragmented": "The same where no 2 MiB of free memory are contiguous",
    "pages": "Instructions per page by system",
    "flushes": "Flushes of kernel TLB ranges for 1 GiB",
    "scaling": "IPIs by number of CPUs",
}

HEAD = """# Benchmarks

<!-- Written by 'make bench-page' from what 'make bench' measured. Edit workbench/bench instead. -->

The untouched kernel is compared with the one with the series, built with the same options and running the same workloads.
`make bench` measures all of this again (`QUICK=1` a part of it, `CASE=` the cases it names), in QEMU's emulator, so on any
machine; `make bench-page` writes this page. All measurements are in [benchmarks/results.jsonl](benchmarks/results.jsonl).

"""

SHORT = """The untouched kernel and the one with the series; for guests, with the flag off and on. What the names mean is explained
[below](#how-it-is-measured)."""

METHOD = """## How it is measured

- **instructions**: counted by QEMU's `-icount` on one CPU, where the guest's clock counts instructions. Every case is run twice
  and fails if the two runs differ in the last digit. The CPU has neither `erms` nor `fsrm`, so that clearing a page is 512 stores.
  Results that are the same from run to run still depend on the memory layout: another kernel image or initramfs changes that, and
  with it how far buddies merge, by a few percent for orders 3 and up and for cold cases. Background work that runs at that moment
  is counted as well (a refill, in `memfd-4-touch` or `-close` for example), and so is waiting, which `end` therefore leaves out.
- **events** are what the emulator can't price, counted by the kernel: `flush_tlb_kernel_range`, `flush_tlb_all` (`flushes` is their
  sum) and `unmapped_clear_pages` by kprobes; `zone_lock` and `unmapped_zone_lock` (acquisitions of the locks of the page allocator's
  zones and of the allocator's zones) by a kprobe, too; splits of direct map entries by `/proc/vmstat`; IPIs (`calls`) by
  `/proc/interrupts`. One run; events of unrelated work at the same time are counted, too. The emulator runs all CPUs in one thread
  in this case, so it shows how often a lock is taken, not how long a CPU waits for it.
- **`unmapped_clear_pages`** is the cost of avoiding the flushes: freed pages, up to 32 at a time, are cleared through a mapping in an
  mm private to the CPU, which loads it, flushes it locally and leaves it. Other CPUs are not involved. The emulator drops its whole
  software TLB whenever an mm is loaded, so that in **wall** time this costs more than its instructions suggest; a processor with
  PCIDs does not do that. What it costs on a processor, `ACCEL=kvm` would show.
- **wall** is time in the emulator with a thread for each CPU, in ticks of the virtual clock. Only ratios are meaningful: the things
  compared take turns, kernels VM by VM, kinds of memory within a VM, and the ratio is taken round by round: median (minimum to
  maximum). All other CPUs are kept busy, because interrupting them only costs something then. Where the host has fewer CPUs than
  the VM, an IPI also waits for the host to run the other CPU: that makes the per-page way more expensive with 4 CPUs than with 2.
  The ratio of `memfd`, which is the same in both kernels, shows how much of the result is noise.
- **The distribution of first touches** (`tail`) is that of single touches, each timed separately, starting with an empty cache: half
  of them take at most `p50`, 99 % at most `p99`, 99.9 % at most `p99.9`, none takes more than `max`. On one CPU, everything else
  that the CPU does during a touch is included, such as a refill in the background: that is what a program experiences. `own` is the
  same by the CPU time of the thread, without the work of others. With 8 CPUs, threads that are each pinned to a CPU touch their
  parts at the same time. They also wait for the host to run the others, so that only the ratio between the kernels is meaningful.
- **`irqs-off`** is measured from outside the VM: a QEMU plugin looks at the CPU's flags whenever a block of code starts, and counts
  the instructions from the first one of the allocator with interrupts off until the last one before they are on again, including
  everything called in between. `irqs-off` is the maximum of all, `irqs-off-NAME` that of those that began in a function. Its goal is
  the cost of clearing 32 pages. The workload consists of secrets that come and go, all orders, bulk allocations, batches, releases,
  memory shortage, and fragments.
- **The per-page way** is what was proposed for guest_memfd before: each page is removed from the direct map separately, with a flush
  of its own. Here a module does that to the pages of a file, after they are allocated and before the clock is read; restoring them
  is part of the end.
- **The kernels** have the same options, see [workbench/config](workbench/config): those of the tests, including page owner,
  allocation profiling (off at run time), failure injection and the counting of TLB flushes; the one with the series also has the
  allocator, and its tests as modules that are not loaded. The configuration is the same for `alloc_page()` and for what is compared
  with it.

A name in the tables says what was done, to what, and what was measured. `page`: `alloc_pages()`; `zeroed`: with `__GFP_ZERO`;
`unmapped`: the allocator; `o3`: order 3; `cold`: empty caches, otherwise allocators are warm; `pair`: one page allocated, freed, and
again; `batch`: folios allocated one by one, 31 freed by one call; `near`: in 2 MiB of which a fragment is unmapped; `used-`: while
unmapped pages are in use; `large`: secrets with `MADV_HUGEPAGE`, for which only the kernel with the series has folios of 2 MiB;
`gmem-mapped`, `-unmapped`: guest_memfd with the flag off, on; `fallocate-fault`: both, one after the other; `fault`: a guest's first
touch; `touch`: the VMM's, through its mapping; `end`: after `fault`, all of the memory is given back; `life`: programs, from fork to
exit.

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
