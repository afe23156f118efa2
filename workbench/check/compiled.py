# SPDX-License-Identifier: GPL-2.0-only
"""What compilers say: W=1 and sparse next to the untouched kernel, and other configurations and architectures."""

import re

from .item import (LINUX, LOGS, TOP, Broken, Outcome, at, command, compiled_files, introduced, keep_log, new_files,
                   object_of, touched_files)

WARNING = re.compile(r"^(?:\.\./)*(?:\S*?/linux(?:-base)?/|linux(?:-base)?/)?(\S+?):(\d+)(?::\d+)?: (?:warning|error): (.*)$", re.M)

# Debian 12's sparse does not know the kernel's __typeof_unqual__, and the
# kernel then skips it; for finding mistakes typeof will do.
SPARSE = "CHECK=sparse -D__typeof_unqual__=__typeof__"

# Enough for all objects that the series touches: folders, and files of folders
# that are large.
COMMON = ["drivers/base/", "fs/proc/", "kernel/dma/", "lib/buildid.o", "lib/scatterlist.o", "mm/"]
DRIVERS = ["drivers/dma/", "drivers/iommu/", "drivers/virtio/", "kernel/bpf/", "kernel/power/", "kernel/vmcore_info.o"]
X86 = ["arch/x86/kernel/alternative.o", "arch/x86/kvm/", "arch/x86/mm/"]
FOLDERS = COMMON + DRIVERS + X86

# With the series, without it, and whether for what the test image has: the other
# ones are for what it has not.
CONFIGURATIONS = (("plain", "base", True), ("nokunit", "base-nokunit", False))

# Each with what it is for, and the targets that exist there.
BUILDS = {
    "off": ("the feature off", FOLDERS),
    "nokunit": ("no KUnit, no BPF JIT; a debugger, encrypted guests", [*FOLDERS, "kernel/debug/"]),
    "allno": ("allnoconfig", ["mm/", "arch/x86/mm/"]),
    "nosmp": ("one CPU, no modules", FOLDERS),
    "i386": ("32 bits", COMMON + X86),
    "powerpc": ("an architecture without set_direct_map", COMMON + ["arch/powerpc/kvm/"]),
}
# What the test image has and no other configuration needs to.
ONLY_PLAIN = re.compile(r"_kunit\.c$|_test\.c$|^mm/tests/")
NM = {"powerpc": "powerpc64le-linux-gnu-nm"}
QUICK_BUILDS = {"off": ["mm/", *X86, "lib/buildid.o"], "nokunit": ["mm/", "kernel/debug/"]}


def folder(variant):
    return TOP / "build" / ("x86_64" if variant == "plain" else f"x86_64-{variant}")


def kernel(name, variant, *words):
    """Call the kernel's make by way of workbench/bin/kernel; returns its output."""
    log = LOGS / f"kernel-{variant}-part.log"
    log.unlink(missing_ok=True)
    at[0] = f"compiling the variant {variant}"
    good, said = command(TOP / "workbench/bin/kernel", variant, *words)
    output = log.read_text(errors="replace") if log.exists() else said
    keep_log(name, output)
    if not good:
        raise Broken(f"{variant} does not compile:\n{said}")
    return output


def warnings(output):
    """Each once, however often its header is included; with the line, for that."""
    return [f"{file}: {text}" for file, _, text in sorted(set(WARNING.findall(output)))]


def compile_again(name, variant, sources, verb, *options):
    """Compile these with options; returns the warnings. Make has to say that it did each of them."""
    objects = [object_of(source) for source in sources]
    if verb == "CC":
        for source in sources:
            (folder(variant) / (source[:-1] + "o")).unlink(missing_ok=True)
    output = kernel(name, variant, *options, *objects)
    missing = [one for one in objects if not re.search(rf"^  {verb} +(\[M\] +)?\S*{re.escape(one[:-1])}[oc]$", output, re.M)]
    if missing:
        raise Broken(f"there is no '{verb}' for {' '.join(missing)}")
    return warnings(output)


def compared(name, complete, verb, *options):
    """Warnings of the series: in new files, and in what it edits those that the untouched kernel has not."""
    if not complete:
        sources = compiled_files(complete=False)
        head = compile_again(name, "plain", sources, verb, *options)
        return Outcome([line for line in head if line.split(":")[0] in new_files()], len(sources), "objects")
    findings, number = [], 0
    for variant, untouched, there in CONFIGURATIONS:
        sources = in_image(there)
        edited = [source for source in sources if source not in new_files()]
        head = compile_again(f"{name}-{variant}", variant, sources, verb, *options)
        base = compile_again(f"{name}-{untouched}", untouched, edited, verb, *options)
        findings += introduced(head, base)
        number += len(sources)
    return Outcome(findings, number, "objects")


def in_image(wanted):
    """The sources that the test image has, or those that it has not."""
    return [source for source in compiled_files() if (folder("plain") / (source[:-1] + "o")).exists() == wanted]


def w1(complete=True):
    """W=1 has no warning"""
    return compared("W1", complete, "CC", "W=1")


def sparse(complete=True):
    """sparse has no warning"""
    # With W=1, what the check before has compiled is not compiled again.
    return compared("sparse", complete, "CHECK", "W=1", "C=2", SPARSE)


def build(variant, targets):
    """Compile what the series touches in a configuration; warnings, and functions that nobody defines."""
    out = folder(variant)
    # An object that is there already has no warnings to tell.
    for source in compiled_files():
        (out / (source[:-1] + "o")).unlink(missing_ok=True)
    output = kernel(f"build-{variant}", variant, *targets)
    objects = [path for target in targets for path in
               (out.joinpath(target).rglob("*.o") if target.endswith("/") else [out / target])]
    sources = [source for source in compiled_files() if (out / (source[:-1] + "o")).exists()]
    if not sources:
        raise Broken(f"{variant} has none of the objects that the series touches")
    findings = [f"{variant}: {line}" for line in warnings(output) if line.split(":")[0] in touched_files()]
    findings += [f"{variant}: nobody defines {name}" for name in sorted(needed(objects, NM.get(variant, "nm")))]
    return findings, sources


def needed(objects, nm):
    """The series' own functions and variables that these objects use, and none of them has."""
    allocator = [folder("plain") / (source[:-1] + "o") for source in new_files(".c") if source.startswith("mm/unmapped")]
    own = {line.split()[-1] for line in symbols("nm", allocator) if re.search(r" [TDBR] ", line)}
    if not own:
        raise Broken("the allocator's objects define nothing; 'make kernel' builds them")
    lines = symbols(nm, objects)
    used = {line.split()[-1] for line in lines if re.search(r"\sU ", line)}
    defined = {line.split()[-1] for line in lines if re.search(r" [TDBRVW] ", line)}
    return (used & own) - defined


def symbols(nm, paths):
    good, output = command(nm, *paths)
    if not good:
        raise Broken(f"{nm}: {output[:500]}")
    return output.splitlines()


def builds(complete=True):
    """it compiles without warnings: the feature off, no KUnit, allnoconfig, one CPU, 32 bits, no set_direct_map"""
    findings, compiled = [], []
    targets = {variant: targets for variant, (_, targets) in BUILDS.items()} if complete else QUICK_BUILDS
    for variant in targets:
        more, sources = build(variant, targets[variant])
        findings += more
        compiled += sources
    if complete:
        findings += [f"no other configuration compiles {source}" for source in compiled_files()
                     if source not in compiled and not ONLY_PLAIN.search(source)]
    return Outcome(findings, len(compiled), "objects")
