# SPDX-License-Identifier: GPL-2.0-only
"""What is compiled: each prefix of the series; what the checks say of all of it."""

import re

from check import ITEMS, leftovers
from check.item import Broken
from common import LINUX, TOP, command, git_linux

from .suite import make, result

SHELL = re.compile(r"#!/bin/(ba)?sh\b|# shellcheck shell=")

# The checks that take no more than a minute.
QUICK = ("checkpatch", "kernel-doc", "w1", "sparse", "builds")

# What all of the series is about.
FOLDERS = ("mm/", "arch/x86/mm/", "kernel/power/")


def group_prefix(_suite):
    """every patch compiles: what it changes, and what includes a header that it changes"""
    yield from compile_each("changed", lambda commit: changed_objects(commit) + includers(commit))


def group_prefix_all(_suite):
    """every patch compiles, with all of the folders that the series is about"""
    yield from compile_each("all", lambda commit: [*FOLDERS, *changed_objects(commit)])


def compile_each(extent, targets_of):
    """Check out and compile each commit in turn; a result for each that changes something to be compiled."""
    out, tree = TOP / "build/x86_64-prefix", TOP / "build/linux-prefix"
    command("git", "-C", LINUX, "worktree", "prune")
    if not tree.exists():
        command("git", "-C", LINUX, "worktree", "add", "-q", "--detach", tree, "base")
    out.mkdir(exist_ok=True)
    config = (TOP / "build/x86_64/.config").read_text()
    for commit in git_linux("rev-list", "--reverse", "base..HEAD").split():
        targets = targets_of(commit) + ["arch/x86/kvm/"] * touches_kvm(commit)
        if not touches_objects(commit) or not targets:
            continue
        # Like make, this does not compile again what it has compiled.
        done = out / f"done-{extent}-{git_linux('rev-parse', commit + '^{tree}')}"
        good, output = done.exists() and done.read_text() == config, ""
        if not good:
            command("git", "-C", tree, "checkout", "-q", "-f", "--detach", commit)
            good, output = configure(commit, tree, out, config)
            if good:
                targets = [target for target in targets if is_enabled(target, out)]
                if not targets:
                    continue
                good, output = make(f"prefix-{commit[:7]}", tree, out, *targets)
            if good:
                done.write_text(config)
        yield result(git_linux("log", "-1", "--format=%s", commit), good, output)


def configure(commit, tree, out, config):
    """Only if a commit before it had other options: it takes longer than to compile a file or two."""
    kconfig = "\n".join(line for line in git_linux("ls-tree", "-r", commit).splitlines() if "Kconfig" in line)
    stamp = out / "configured"
    if stamp.exists() and stamp.read_text() == config + kconfig:
        return True, ""
    stamp.unlink(missing_ok=True)
    (out / ".config").write_text(config)
    for target in "olddefconfig", "prepare":
        good, output = make("prefix-config", tree, out, target)
        if not good:
            return False, output
    stamp.write_text(config + kconfig)
    return True, ""


def is_enabled(target, out):
    """The allocator's files come with several patches, the last of which lets it be enabled."""
    return not target.startswith("mm/unmapped") or "CONFIG_UNMAPPED_ALLOC=y\n" in (out / ".config").read_text()


def files_of(commit):
    return git_linux("diff-tree", "-r", "--no-commit-id", "--name-only", commit).split()


def touches_objects(commit):
    return any(not f.startswith(("tools/", "Documentation/", "MAINTAINERS")) for f in files_of(commit))


def objects(sources):
    """Those that are in the configuration. KVM's are compiled by its folder."""
    names = {source.removesuffix(".c") + ".o" for source in sources if source.endswith(".c") and "kvm" not in source}
    return sorted(name for name in names if (TOP / "build/x86_64" / name).exists())


def changed_objects(commit):
    return objects(f for f in files_of(commit) if not f.startswith("tools/"))


def includers(commit):
    """Objects whose source includes a header that a commit changes, not by way of another one."""
    headers = [re.sub(r"^(arch/x86/)?include/(uapi/)?", "", f) for f in files_of(commit)
               if f.endswith(".h") and not f.startswith("tools/")]
    patterns = [word for header in headers for word in ("-e", rf'#include [<"]{re.escape(header)}[>"]',
                                                        "-e", rf'#include "{re.escape(header.split("/")[-1])}"')]
    if not patterns:
        return []
    # Fails where nothing is found.
    found = command("git", "-C", LINUX, "grep", "-l", *patterns, commit, "--", *FOLDERS)[1]
    return objects(line.partition(":")[2] for line in found.splitlines())


def touches_kvm(commit):
    """KVM's own files; virt/kvm is compiled in the architecture's folder."""
    return any("kvm" in f and not f.startswith(("tools/", "Documentation/")) for f in files_of(commit))


def group_style(_suite):
    """shellcheck; checkpatch, kernel-doc, W=1, sparse of new files; the feature, or its tests, switched off"""
    yield shellcheck()
    yield one_way_calls()
    yield locks_are_listed()
    kept = leftovers.read()
    for name in QUICK:
        try:
            outcome = ITEMS[name](complete=False)
        except Broken as error:
            yield result(f"check {name}", False, str(error))
            continue
        # What is listed in vain is for 'make check', which looks at everything.
        unlisted, _ = leftovers.sift(name, outcome.findings, kept)
        yield result(f"check {name}", outcome.looked_at > 0 and not unlisted, "\n".join(unlisted))


def symbols(file, kinds):
    """Functions that an object file defines (T) or uses (U)."""
    lines = command("nm", file)[1].splitlines()
    return {words[-1] for words in map(str.split, lines) if len(words) > 1 and words[-2] in kinds}


def one_way_calls():
    """The allocator's files form no circle by the functions that they call of each other."""
    files = sorted((TOP / "build/x86_64/mm").glob("unmapped-*.o"))
    files = [file for file in files if (TOP / "mm" / f"{file.stem}.c").exists()]
    calls = {file: {other for other in files if other != file and symbols(other, "T") & symbols(file, "U")}
             for file in files}
    number = len(calls)
    while leaves := [file for file in calls if not calls[file] & calls.keys()]:
        for file in leaves:
            del calls[file]
    circle = " ".join(file.stem for file in calls)
    return result("the allocator's files call each other one way", number > 2 and not circle, f"a circle among {circle}")


def locks_are_listed():
    """The lock order at the top of mm/unmapped-alloc.c names each lock that the allocator's files define."""
    order = re.search(r"^ \* Lock order:\n(.*?)\*/", (TOP / "mm/unmapped-alloc.c").read_text(), re.M | re.S)
    locks = {lock: file.name for file in sorted((TOP / "mm").glob("unmapped-*.c"))
             for lock in re.findall(r"\bDEFINE_(?:MUTEX|SPINLOCK|RAW_SPINLOCK)\((\w+)\)", file.read_text())}
    missing = [f"{lock} in {file}" for lock, file in locks.items()
               if not order or not re.search(rf"\b{lock}\b", order[1])]
    return result("the lock order names each lock", bool(locks) and not missing, f"not named: {', '.join(missing)}")


def shellcheck():
    """All shell scripts of the repository that are not the kernel's."""
    listed = command("git", "ls-files", "--cached", "--others", "--exclude-standard", "workbench", ".ci", cwd=TOP)[1]
    scripts = [name for name in listed.split() if (TOP / name).is_file() and
               (name.endswith(".sh") or SHELL.match((TOP / name).read_text(errors="replace")))]
    good, output = command("shellcheck", "-x", "-P", "SCRIPTDIR", *scripts, cwd=TOP)
    return result(f"shellcheck of {len(scripts)} scripts", good and len(scripts) > len(QUICK), output)
