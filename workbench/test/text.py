# SPDX-License-Identifier: GPL-2.0-only
"""Kernel text: modules, programs of BPF, trampolines of ftrace, kprobes."""

import re

from . import pagetables
from .suite import result


def told(machine):
    """What a job said: "WHO: NAME VALUE" by who and name."""
    said = {}
    for line in machine.said:
        who, _, rest = line.partition(": ")
        name, _, value = rest.partition(" ")
        said.setdefault(who, {})[name] = int(value) if value.isdigit() else value
    return said


def group_text(suite):
    """kernel text is not in the direct map"""
    yield from share_results(suite)
    yield from look_results(suite)
    yield from failing_results(suite)


def group_churn(suite):
    """kernel text that comes and goes splits nothing, and all is given back"""
    yield from churn_results(suite, "modules", "text-churn", ("200", "10", "1"))
    yield from churn_results(suite, "modules, fragmented memory", "text-churn", ("200", "2", "1", "fragmented"))
    yield from churn_results(suite, "all at once", "text-all", ("50", "1000", "1"))
    yield from churn_results(suite, "all at once, fragmented memory", "text-all", ("20", "200", "1", "fragmented"))
    yield from churn_results(suite, "all at once, failures", "text-all", ("50", "500", "1", "failures"))


def look_results(suite):
    """What is to be seen of text that is in use."""
    machine = suite.boot("text-look", "text-look", ["50", "1000", "4", "16"], timeout=300,
                         answer=pagetables.look_at)
    said, text = told(machine), "\n".join(machine.said)
    there = said["there"]
    yield result("programs, trampolines and probes are in use",
                 there["programs"] >= 1000 and there["trampolines"] >= 4 and there["probes"] == 16, text)
    yield areas_result("in use", there, text)
    seen = dict(machine.asked)["there"]
    yield result("seen from outside, it is as the kernel says",
                 all(seen[name] == there[name] for name in seen), f"{seen}\n{text}")
    for name in ("no module", "modules gone"):
        yield result(f"{name}: a sweep of the direct map reads it, and finds no mark of a module's text",
                     said[name]["readable"] > 1024 and said[name]["marks"] == 0, text)
    for name in ("modules come", "modules there"):
        yield result(f"{name}: a sweep of the direct map finds no mark of a module's text",
                     said[name]["sweeps"] >= 1 and said[name]["marks"] == 0, text)
    kcore = re.findall(r"^kcore: (text_\d+) exit status (\d+), ((\d+) of (\d+) units)?", text, re.M)
    yield result("/proc/kcore shows modules' text",
                 len(kcore) == 3 and all(status == "0" and same == units for _, status, _, same, units in kcore), text)
    yield from held_results("all in use", said, text)


def share_results(suite):
    """Text of all kinds shares blocks."""
    machine = suite.boot("text-share", "text-share", ["1", "10", "1"])
    there, text = told(machine)["there"], "\n".join(machine.said)
    yield result("a module, ten programs and a tracer have a single block",
                 there["text_block"] == 1 and there["text_unmapped"] == 2 << 20 and there["text_fallback"] == 0 and
                 there["owned"] == 512, text)


def failing_results(suite):
    """Systematic failures of allocations."""
    machine = suite.boot("text-nth", "text-nth", ["16", "3000"], timeout=120, allow=("failures",))
    said, text = told(machine), "\n".join(machine.said)
    # Seen: 105, 3, and 41 or 42.
    for what, name, call, least in (("loading a module", "modules", "load", 50),
                                    ("unloading it", "modules", "unload", 1),
                                    ("loading a program of BPF", "programs", "load", 20)):
        points = said[name][call]
        yield result(f"each of {points} allocations of {what} fails in turn", points >= least, text)
    yield areas_result("after that", said["after"], text)
    yield from held_results("after that", said, text)


def fallback(areas):
    """Pages of text that the allocator counts as still in the direct map."""
    return areas.get("text_fallback", 0) // 4096


def areas_result(name, areas, text):
    return result(f"{name}: text is executable, not writable, and not in the direct map but for fallbacks",
                  areas["executable"] > 0 and areas["writable"] == 0 and
                  areas["aliased"] == fallback(areas) and areas["alias_writable"] == 0, text)


def churn_results(suite, name, job, args):
    """What is left when everything came and went."""
    failures = "failures" in args
    machine = suite.boot(f"text-{name}".replace(", ", "-").replace(" ", "-"), job, args, timeout=900,
                         allow=("failures",) * failures)
    said, text = told(machine), "\n".join(machine.said)
    for who in ("churn", "modules", "programs"):
        if who in said:
            yield result(f"{name}: {said[who]['loads']} loads of {'modules' if who == 'churn' else who}",
                         0 < said[who]["failures"] < said[who]["loads"] if failures else
                         said[who]["failures"] == 0, text)
    splits = said["splits"]
    yield result(f"{name}: no split of the direct map is missed", splits["missed"] == 0 and
                 splits["all"] == sum(splits[who] for who in ("text", "data", "others")), text)
    if not failures:
        # On fragmented memory, 7.3's execmem splits 1: a tenth of that is none, too.
        yield result(f"{name}: text splits no large entry (data: {splits['data']})", splits["text"] == 0, text)
    if "swept" in said:
        yield result(f"{name}: sweeps of the direct map meanwhile find no mark of a module's text",
                     said["swept"]["sweeps"] >= 1 and said["swept"]["marks"] == 0, text)
    yield areas_result(f"{name}, afterwards", said["after"], text)
    yield from held_results(name, said, text)


def held_results(name, said, text):
    """All is given back that a sample taken before does not have."""
    before, after = said["before"], said["after"]
    boot = said.get("boot", before)
    yield result(f"{name}: as many executable pages as after boot", boot["executable"] == after["executable"], text)
    # Free memory as a whole differs by several MiB from one sample to the next.
    yield result(f"{name}: the allocator has no more memory than before",
                 after.get("owned", 0) <= before.get("owned", 0), text)
