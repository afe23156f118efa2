# SPDX-License-Identifier: GPL-2.0-only
"""DMA buffers without a kernel mapping, with QEMU's edu device."""

import re

from .suite import FAILED, SKIPPED, result
from .tap import tap_results

ALL_BITS = "0xffffffffffffffff"
INTEL_IOMMU = ("-device", "intel-iommu,aw-bits=48")


def group_dma(suite):
    """DMA buffers that only the device can read"""
    if suite.variant in ("base", "off"):
        machine = suite.boot("dma-dmatest", "dma", ["28", "nothing"])
        yield from kernels_own_results("", "\n".join(machine.said))
        return
    # The benchmark maps what it gets, wherever: with all checks, that is above 256 MiB.
    yield from dma_results(suite, "28 bits", "28", "fallback", *("dmatest",) * (suite.variant != "debug"),
                           mask="0xfffffff")
    extras = ("failures", "short") if suite.variant == "debug" else ("failures", "short", "unbind")
    yield from dma_results(suite, "64 bits, bounced", "64", "bounce", *extras, append="swiotlb=force")
    yield from dma_results(suite, "32 bits, intel-iommu", "32", "unmapped", "strict", mask="0xffffffff",
                           extra=INTEL_IOMMU)


def group_dma_all(suite):
    """the same with all masks and IOMMUs"""
    if suite.variant in ("base", "off"):
        return
    yield from dma_results(suite, "32 bits", "32", "unmapped", mask="0xffffffff")
    yield from dma_results(suite, "64 bits, memory above 4 GiB", "64", "unmapped", "dmatest", memory=5120)
    yield from dma_results(suite, "28 bits, intel-iommu", "28", "unmapped", "dmatest", mask="0xfffffff",
                           extra=INTEL_IOMMU)
    yield from dma_results(suite, "64 bits, intel-iommu", "64", "unmapped", "failures", "short", extra=INTEL_IOMMU)
    yield from dma_results(suite, "64 bits, intel-iommu, passthrough", "64", "unmapped", extra=INTEL_IOMMU,
                           append="iommu=pt")


def kernels_own_results(prefix, text):
    """The same on both kernels."""
    yield result(f"{prefix}dmatest", "dmatest: 5 tests, 0 failures" in text, text)
    yield result(f"{prefix}dma_map_benchmark, both modes, all directions", "map_benchmark: 6" in text, text)


def dma_results(suite, name, bits, expect, *what, mask=ALL_BITS, extra=(), **options):
    """One machine. What the selftest leaves out but for what the device can't do
    has failed."""
    machine = suite.boot("dma-" + re.sub(r"\W+", "-", name), "dma", [bits, expect, *what], timeout=240,
                         allow=("oom", "failures") * ("failures" in what or "short" in what),
                         extra=("-global", f"edu.dma_mask={mask}", *extra), **options)
    text = "\n".join(machine.said)
    yield result(f"{name}: IOMMU", ("iommu: 0" in text) == (not extra), text)
    for file in ("dma_unmapped", *(file for file in machine.results if file != "dma_unmapped")):
        for title, verdict, detail in tap_results(file, machine.results.get(file, [])):
            if verdict == SKIPPED and expect != "fallback":
                verdict = FAILED
            yield f"{name}: {title}", verdict, detail
    yield result(f"{name}: all is freed, and given back", "selftest: pages 0\n" in text and
                 "selftest: owned 0\n" in text + "\n", text)
    if expect == "fallback":
        yield result(f"{name}: fallbacks are counted", bool(re.search("counts: fallback +[1-9]", text)), text)
    if "dmatest" in what:
        yield from kernels_own_results(f"{name}: ", text)
    if "failures" in what:
        yield result(f"{name}: failures occur, and lose nothing",
                     bool(re.search(r"failures: [1-9]\d* of 20 runs failed, pages 0$", text, re.M)), text)
    if "strict" in what:
        flushes = re.search(r"strict: (\d+) flushes", text)
        yield result(f"{name}: the IOMMU forgets a buffer before its pages are free, in lazy mode, too",
                     "strict: lazy mode" in text and flushes is not None and int(flushes[1]) >= 60, text)
    if "unbind" in what:
        yield result(f"{name}: a copy fails when the driver is unbound",
                     bool(re.search(r"unbind: exit status of the client [1-9]\d*, pages 0$", text, re.M)) and
                     "unbind: a copy failed" in text, text)
