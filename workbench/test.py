#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Everything that guards the project, in groups; the last line adds them up.

A group is a function that yields a result for each of its tests. What a group
can't do, because a tool or a kernel fails, is a failure of the group.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import vm

TOP = pathlib.Path(__file__).resolve().parent.parent
LINUX = TOP / "build" / "linux"
LOGS = TOP / "build" / "log"
PASSED, FAILED, SKIPPED = "ok", "not ok", "skip"

KSELFTESTS = ["unmapped_alloc", "memfd_secret"]
KVM_KSELFTESTS = ["guest_memfd_test", "guest_memfd_fail_test", "pre_fault_memory_test",
                  "private_mem_conversions_test+-n+2+-m+2", "svm_nested_guest_memfd_test",
                  "set_memory_region_test"]

# A machine with two nodes of one CPU each, the second one small.
TWO_NODES = ("-smp", "2,sockets=2", "-object", "memory-backend-ram,id=m0,size=768M", "-numa", "node,memdev=m0,cpus=0",
             "-object", "memory-backend-ram,id=m1,size=256M", "-numa", "node,memdev=m1,cpus=1")

# What checkpatch says and is kept, with the reason.
CHECKPATCH_IGNORE = {
    "MISSING_SIGN_OFF": "a human adds it",
    "BAD_SIGN_OFF": "knows no Assisted-by without a tool's version",
    "BIT_MACRO": "the flags beside it are written as shifts",
    "CAMELCASE": "the names of page types are, PageLargeKmalloc for one",
    "FILE_PATH_CHANGES": "the series' last patch has the MAINTAINERS entry",
}


class Suite:
    """Options of this run, and what the groups share."""

    def __init__(self, variant):
        self.variant = variant
        self.image = TOP / "build" / ("x86_64" if variant == "plain" else f"x86_64-{variant}")
        # The debug kernel is several times slower.
        self.patience = 5 if variant == "debug" else 1
        # When identify_cpu() clears the boot CPU's capabilities to read them
        # again, LA57 is among them. To an interrupt in between, KASAN says of
        # each address in the direct map that it is a wild one.
        self.options = {"model": "max,+svm,-la57"} if variant == "debug" else {}

    def boot(self, name, job, args=(), timeout=60, **options):
        options = {**self.options, **options}
        return vm.run_job(self.image, name, job, args, timeout * self.patience,
                          memory=options.pop("memory", 1024), **options)


def command(*words, **options):
    """Run a command; returns (worked, output)."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
                          check=False, **options)
    return done.returncode == 0, done.stdout


def result(name, good, detail=""):
    return name, PASSED if good else FAILED, detail


def check(name, *words, **options):
    good, output = command(*words, **options)
    return result(name, good, output)


def new_files(*suffixes):
    """The series' new files, by suffix, as paths in the kernel tree."""
    output = command("git", "-C", LINUX, "diff", "--name-only", "--diff-filter=A", "base", "HEAD")[1]
    return [line for line in output.split() if line.endswith(suffixes)]


def git_linux(*words):
    return command("git", "-C", LINUX, *words)[1].strip()


# === The workbench itself ====================================================

def group_workbench(suite):
    """the workbench: scan of the console, verdicts, safety of edits"""
    tests = unittest.defaultTestLoader.discover(str(TOP / "workbench" / "tests"))
    outcome = unittest.TestResult()
    tests.run(outcome)
    for test, trace in outcome.failures + outcome.errors:
        yield result(str(test), False, trace)
    yield result("unit tests of the workbench", outcome.wasSuccessful() and outcome.testsRun > 0)

    for script in sorted((TOP / "workbench" / "bin").iterdir()):
        yield check(f"bash -n {script.name}", "bash", "-n", script)

    for how in ("panic", "warn", "bug", "silent"):
        yield expect_vm_error(suite, how, timeout=60)
    yield expect_vm_error(suite, "hang", timeout=15)
    yield from expect_vm_fine(suite)


def expect_vm_error(suite, how, timeout):
    name = f"a VM that ends by '{how}' is a failure"
    try:
        suite.boot(f"break-{how}", "break", [how], timeout)
    except vm.VMError as error:
        wanted = {"panic": "Kernel panic", "warn": "WARNING", "bug": "kernel BUG",
                  "hang": "not done after", "silent": "without a verdict"}[how]
        return result(name, wanted in str(error) and "console.log" in str(error), str(error))
    return result(name, False, "it passed")


def expect_vm_fine(suite):
    try:
        suite.boot("break-fine", "break", ["fine"])
        yield result("a VM that ends well passes", True)
    except vm.VMError as error:
        yield result("a VM that ends well passes", False, str(error))


# === The series ==============================================================

def group_series(_suite):
    """the series: patches/ is what refresh writes; bad input is refused"""
    yield check("refresh is a no-op", TOP / "workbench/bin/refresh", "--check")
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / "copy"
        shutil.copytree(TOP, copy, symlinks=True, ignore=shutil.ignore_patterns("build", ".git"))
        (copy / "build").mkdir()
        linux = copy / "build/linux"
        command("git", "clone", "-q", "--shared", "--no-checkout", LINUX, linux)
        command("git", "-C", linux, "sparse-checkout", "set", "mm")
        command("git", "-C", linux, "checkout", "-q", "main")
        command("git", "-C", linux, "update-ref", "refs/workbench/assembled", "HEAD")
        yield from refusals(copy, linux)


def refusals(copy, linux):
    """What tree and refresh refuse to do, in a copy of the repository."""
    tree, refresh = copy / "workbench/bin/tree", copy / "workbench/bin/refresh"
    head = command("git", "-C", linux, "rev-parse", "HEAD")[1]

    def refused(name, script, *words):
        good, output = command(script)
        kept = command("git", "-C", linux, "rev-parse", "HEAD")[1] == head
        return result(name, not good and kept and all(word in output for word in words), output)

    last = sorted((copy / "patches").glob("*.patch"))[-1]
    text = last.read_text()
    last.write_text(re.sub(r"(?m)^ (\s*unevictable-lru)$", r" \1-not", text))
    yield refused("a patch that does not apply stops tree, and is named", tree, last.name)
    last.write_text(text)

    extra = copy / "mm/unmapped-orphan.c"
    extra.write_text("/* no patch introduces this */\n")
    yield refused("a new file without a patch stops tree, and is named", tree, "mm/unmapped-orphan.c")
    extra.unlink()

    edited = linux / "mm/secretmem.c"
    edited.write_text(edited.read_text() + "\n/* unsaved */\n")
    yield refused("refresh refuses uncommitted edits", refresh, "not committed")
    yield refused("clean refuses uncommitted edits", copy / "workbench/bin/clean", "not committed")
    yield result("the edits are still there", "unsaved" in edited.read_text())

    command("git", "-C", linux, "-c", "user.name=t", "-c", "user.email=t@t.invalid",
            "commit", "-qam", "mm: edit\n\nA reason.")
    head = command("git", "-C", linux, "rev-parse", "HEAD")[1]
    (copy / "mm/unmapped-window.c").write_text("/* changed */\n")
    yield refused("tree refuses to drop commits that are not in patches/", tree, "refresh")


def group_input(_suite):
    """bad input is refused with words that help; an interrupt ends a step"""
    def refused(name, *words, say, **options):
        good, output = command(*words, cwd=options.pop("cwd", TOP), **options)
        return result(name, not good and all(text in output for text in say), output)

    yield refused("an unknown parameter", "make", "FOO=1", "run", say=["FOO", "VARIANT"])
    yield refused("an unknown variant", "make", "VARIANT=no", "test", say=["'no'", "plain debug"])
    yield refused("a size that is no number", "make", "SIZE=1k", "run", say=["SIZE=1k"])
    yield refused("an unknown target", "make", "no-such", say=["no-such", "'make' lists"])
    yield refused("an unknown group of tests", "workbench/test.py", "no", say=["no", "kselftest"])

    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        copy = pathlib.Path(scratch) / "copy"
        shutil.copytree(TOP, copy, symlinks=True, ignore=shutil.ignore_patterns("build", ".git"))
        (copy / "build").mkdir()
        fetch = copy / "workbench/bin/fetch"
        yield refused("KERNEL_SRC that is not there", fetch, env={**os.environ, "KERNEL_SRC": "/no"},
                      say=["KERNEL_SRC=/no does not exist"])
        (copy / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\nNAME = x\n")
        yield refused("KERNEL_SRC of another series", fetch, env={**os.environ, "KERNEL_SRC": str(copy)},
                      say=["Linux 6.1.0", "needs 7.3.y"])
        yield missing_packages(copy)
        yield missing_option(copy)
        yield two_builds(copy)
        yield interrupted(copy)


def missing_packages(copy):
    fake = copy / "fake"
    fake.mkdir()
    (fake / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (fake / "dpkg-query").chmod(0o755)
    good, output = command("setpriv", "--reuid=65534", "--clear-groups", copy / "workbench/bin/deps",
                           env={**os.environ, "PATH": f"{fake}:{os.environ['PATH']}"})
    return result("packages are missing, and no root", not good and
                  "apt-get install -y --no-install-recommends" in output and "qemu-system-x86" in output, output)


def missing_option(copy):
    (copy / "build/linux").symlink_to(LINUX)
    fragment = copy / "workbench/config/unmapped.config"
    fragment.write_text(fragment.read_text() + "CONFIG_NO_SUCH_OPTION=y\n")
    good, output = command(copy / "workbench/bin/kernel", "plain", "kernelversion")
    return result("an option that is missing in the end", not good and
                  "CONFIG_NO_SUCH_OPTION=y" in output, output)


def two_builds(copy):
    good, output = command("flock", copy / "build/.lock", copy / "workbench/bin/kernel", "plain")
    return result("two builds at a time", not good and "something else is being built" in output, output)


def interrupted(copy):
    script = 'STAGE=t; . workbench/lib.sh; logged nap sleep 4711'
    step = subprocess.Popen(["bash", "-c", script, "t"], cwd=copy, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    while not (copy / "build/log/nap.log").exists():
        time.sleep(0.1)
    step.terminate()
    step.wait(timeout=30)
    left = command("flock", "-w", "5", copy / "build/.lock", "true")[0]
    return result("an interrupt ends a step and all that it started", step.returncode != 0 and left)


def group_prefix(_suite):
    """every prefix of the series compiles"""
    out, tree = TOP / "build/x86_64-prefix", TOP / "build/linux-prefix"
    command("git", "-C", LINUX, "worktree", "prune")
    if not tree.exists():
        command("git", "-C", LINUX, "worktree", "add", "-q", "--detach", tree, "base")
    out.mkdir(exist_ok=True)
    config = (TOP / "build/x86_64/.config").read_text()
    for commit in git_linux("rev-list", "--reverse", "base..HEAD").split():
        if not touches_objects(commit):
            continue
        # Like make, this does not compile again what it has compiled.
        done = out / f"done-{git_linux('rev-parse', commit + '^{tree}')}"
        good, output = done.exists() and done.read_text() == config, ""
        if not good:
            command("git", "-C", tree, "checkout", "-q", "-f", "--detach", commit)
            (out / ".config").write_text(config)
            folders = ["mm/", "arch/x86/mm/"] + ["arch/x86/kvm/"] * touches_kvm(commit)
            good, output = make(f"prefix-{commit[:7]}", tree, out, "olddefconfig", *folders)
            if good:
                done.write_text(config)
        yield result(git_linux("log", "-1", "--format=%s", commit), good, output)


def files_of(commit):
    return git_linux("diff-tree", "-r", "--no-commit-id", "--name-only", commit).split()


def touches_objects(commit):
    return any(not f.startswith(("tools/", "Documentation/", "MAINTAINERS")) for f in files_of(commit))


def touches_kvm(commit):
    """KVM's own files; virt/kvm is compiled in the architecture's folder."""
    return any("kvm" in f and not f.startswith(("tools/", "Documentation/")) for f in files_of(commit))


def make(log, tree, out, *targets):
    """Call the kernel's make for one target after the other."""
    script = '. workbench/lib.sh; t=$1 o=$2; shift 2; for x; do kmake -C "$t" O="$o" "$x" || exit 1; done'
    good, output = command("bash", "-c", script, "make", tree, out, *targets, cwd=TOP)
    LOGS.mkdir(exist_ok=True)
    (LOGS / f"{log}.log").write_text(output)
    return good, output


# === Static checks ===========================================================

def group_style(_suite):
    """checkpatch, kernel-doc, W=1, sparse; the feature, or its tests, switched off"""
    yield check("checkpatch --strict", "scripts/checkpatch.pl", "--strict", "--quiet",
                "--ignore", ",".join(CHECKPATCH_IGNORE), "-g", "base..HEAD", cwd=LINUX)
    yield check("kernel-doc", "tools/docs/kernel-doc", "-none", "-Wall", "-Werror",
                *[f for f in new_files(".c", ".h") if not f.startswith("tools/")], cwd=LINUX)

    sources = [f for f in new_files(".c") if not f.startswith(("tools/", "mm/tests/"))]
    objects = [f[:-1] + "o" for f in sources]
    for source in sources:
        (LINUX / source).touch()
    out = TOP / "build/x86_64"
    yield compile_checked("W1", "W=1 has no warning", out, objects, "CC", "W=1")
    # Debian 12's sparse does not know the kernel's __typeof_unqual__, and the
    # kernel then skips it; for finding mistakes typeof will do.
    yield compile_checked("sparse", "sparse has no warning", out, objects, "CHECK", "C=2",
                          "CHECK=sparse -D__typeof_unqual__=__typeof__")

    good, output = command(TOP / "workbench/bin/kernel", "off", "mm/", "arch/x86/mm/", "arch/x86/kvm/")
    yield result("CONFIG_UNMAPPED_ALLOC=n compiles", good, output)
    good, output = command(TOP / "workbench/bin/kernel", "nokunit", "mm/")
    yield result("CONFIG_KUNIT=n compiles", good, output)


def compile_checked(log, name, out, objects, verb, *options):
    """Compile some objects with options; a warning in a new file is an error,
    and so is an object that make did not print the verb for."""
    script = '. workbench/lib.sh; kmake -C build/linux O="$1" "${@:2}"'
    good, output = command("bash", "-c", script, "make", out, *options, *objects, cwd=TOP)
    (LOGS / f"{log}.log").write_text(output)
    names = "|".join(re.escape(o[:-1]) for o in objects) + r"|unmapped[-_]alloc\.h"
    bad = [line for line in output.splitlines()
           if re.search(rf"({names}).*(warning|error):", line)]
    bad += [f"{o}: there is no '{verb}' for it" for o in objects
            if not re.search(rf"^  {verb} +.*{re.escape(o[:-1])}[oc]$", output, re.M)]
    return result(name, good and not bad, "\n".join(bad or output.splitlines()[-20:]))


# === In the VM ===============================================================

TAP = re.compile(r"^\s*(ok|not ok) \d+ -? ?(.*)$")


def tap_results(name, lines):
    """Results of a TAP or KTAP stream; a KTAP suite's own line is left out."""
    nested = any(re.match(r"^ {4}(ok|not ok) ", line) for line in lines)
    status = next((line.split()[-1] for line in lines if line.startswith("# exit status")), "0")
    results, context = [], []
    for line in lines:
        found = TAP.match(line)
        if not found or (nested and not line.startswith("    ")):
            context.append(line)
            continue
        verdict, text = found.groups()
        if "# SKIP" in text:
            verdict = SKIPPED
        results.append((f"{name}: {text}", verdict, "\n".join(context[-12:])))
        context = []
    if not results:
        verdict = {"0": PASSED, "4": SKIPPED}.get(status, FAILED)
        return [(name, verdict, "\n".join(lines[-12:]))]
    if status != "0" and all(verdict != FAILED for _, verdict, _ in results):
        results.append((f"{name}: exit status", FAILED, f"{status}, but no test failed"))
    planned = [int(line.strip()[3:]) for line in lines if re.match(r"^\s*1\.\.\d+$", line)]
    if planned and max(planned) > len(results):
        results.append((f"{name}: plan", FAILED, f"{max(planned)} tests were planned, {len(results)} reported"))
    return results


def group_kunit(suite):
    """KUnit, inside the kernel"""
    yield from kunit_results(suite, "kunit")
    if suite.variant == "debug":
        # The direct map has 4 KiB entries only then, and free pages are absent.
        yield from kunit_results(suite, "kunit-debug_pagealloc", append="debug_pagealloc=on")


def kunit_results(suite, name, **options):
    machine = suite.boot(name, "kunit", timeout=120, allow=("lost",), **options)
    if "kunit-unmapped_alloc" not in machine.results:
        yield result(name, False, "no results of the suite unmapped_alloc")
    for file, lines in machine.results.items():
        yield from tap_results(file.replace("kunit", name, 1), lines)


def group_kselftest(suite):
    """kselftest: the allocator's, and the kernel's own"""
    for test in KSELFTESTS:
        machine = suite.boot(f"kselftest-{test}", "selftests", [test], timeout=120, allow=("oom",))
        yield from tap_results(test, machine.results.get(test, []))


def group_numa(suite):
    """a machine with two nodes, one of them small"""
    # Memory that can go offline again, as nothing of the kernel's own is in it.
    dimm = ("-m", "size=1024M,slots=1,maxmem=2G", "-object", "memory-backend-ram,id=m2,size=128M",
            "-device", "pc-dimm,memdev=m2,node=1")
    machine = suite.boot("numa", "selftests", ["unmapped_alloc"], timeout=240, allow=("oom",),
                         extra=TWO_NODES + dimm)
    for name, verdict, detail in tap_results("unmapped_alloc", machine.results.get("unmapped_alloc", [])):
        # Here, no test may be left out for want of a node.
        if "numa." in name and verdict == SKIPPED:
            verdict = FAILED
        yield f"2 nodes: {name}", verdict, detail


def group_unplug(suite):
    """memory that is unplugged after it kept secrets"""
    # Both DIMMs are in the fifth GiB of addresses.
    dimms = ["-m", "size=1024M,slots=2,maxmem=3G", "-object", "memory-backend-ram,id=m0,size=1024M",
             "-numa", "node,nodeid=0,memdev=m0", "-numa", "node,nodeid=1"]
    for number in range(2):
        dimms += ["-object", f"memory-backend-ram,id=d{number},size=512M",
                  "-device", f"pc-dimm,id=dimm{number},memdev=d{number},node=1"]
    machine = suite.boot("unplug", "unplug", timeout=120, extra=tuple(dimms),
                         answer=lambda machine, qemu: machine.qmp(qemu, ("device_del", {"id": "dimm1"})))
    kib = {name: int(value) for name, value in (line.split(": ") for line in machine.said)}
    yield result("half of a GiB is unplugged", kib["before"] - kib["after"] == 512 << 10, f"{kib} kB")
    yield result("the other half keeps secrets again", machine.done)


def group_kvm(suite):
    """kselftest: KVM's, with guest memory that has no direct map"""
    yield from kvm_results("kvm", suite, KVM_KSELFTESTS)
    # One CPU: with two, QEMU's emulated SVM was seen to run a guest without the
    # offset of its TSC, so that its clock told the time since the machine's boot.
    yield from kvm_results("kvm-clock", suite, ["kvm_clock_test"], cpus=1)
    for name, verdict, detail in kvm_results("kvm-2nodes", suite, ["guest_memfd_test"], *TWO_NODES):
        yield f"2 nodes: {name}", verdict, detail


def kvm_results(name, suite, tests, *machine_options, **more):
    """A test that leaves out anything has failed. They insist on the TSC as
    clock source, which the kernel trusts in a VM only if it is told to."""
    machine = suite.boot(name, "selftests", tests, timeout=240, allow=("oom",), append="tsc=reliable",
                         share=True, extra=machine_options, **more)
    for test in tests:
        lines = machine.results.get(test, [])
        for title, verdict, detail in tap_results(test.replace("+", " "), lines):
            left_out = [line for line in lines if re.match(r"(#\s*)?skip", line, re.I)]
            if verdict == SKIPPED or left_out:
                verdict, detail = FAILED, "\n".join(left_out + [detail])
            yield title, verdict, detail


def group_torture(suite):
    """a minute of everything at once, with failures and CPUs that come and go"""
    yield from torture_results(suite, "torture")
    if suite.variant == "debug":
        yield from torture_results(suite, "torture-debug_pagealloc", append="debug_pagealloc=on")


def torture_results(suite, name, **options):
    machine = suite.boot(name, "torture", ["60"], timeout=240, cpus=4, allow=("lost",), **options)
    text = "\n".join(machine.said)
    yield result(name, "End of test: SUCCESS" in text, text)
    yield result(f"{name}: __GFP_ACCOUNT is charged, and met its limit",
                 bool(re.search(r"limit of the control group met: [1-9]", text)) and
                 "left in the control group: 0" in text, text)


def group_remains(suite):
    """what of the secrets is left in the machine's memory"""
    machine = suite.boot("remains", "remains", ["8"], timeout=120, memory=512,
                         answer=lambda machine, qemu: machine.count_secrets(qemu))
    found = dict(machine.asked)
    pages = 8 * 256
    yield result("secrets in use are found in memory, once each", found.get("kept") == pages,
                 f"{found.get('kept')} of {pages}")
    yield result("freed secrets are gone from all of memory", found.get("freed") == 0,
                 f"{found.get('freed')} are left")


def group_guest(suite):
    """Linux as a guest, on memory that the kernel can't reach"""
    # One CPU: QEMU delivers an interrupt twice to a guest of its emulated SVM,
    # the second time when it must not, if another CPU needs its thread.
    machine = suite.boot("guest", "guest", [str(200 * suite.patience)], timeout=400, cpus=1, memory=1536,
                         allow=("clock",), initramfs="initramfs-guest.cpio",
                         answer=lambda machine, qemu: machine.count_secrets(qemu))
    text, found = "\n".join(machine.said), dict(machine.asked)
    told = {name: dict(re.findall(rf"^{name}: (pages|present|marks) (\d+)$", text, re.M))
            for name in ("unmapped", "mapped")}
    marks = 8 * 256
    for name in told:
        yield result(f"{name}: a guest boots, with kvm-clock and 2 CPUs",
                     f"{name}: guest: clocksource kvm-clock, 2 CPUs" in text, text)
        yield result(f"{name}: it keeps its secrets under load, and ends well",
                     f"{name}: guest: the secrets were intact" in text and
                     f"{name}: guest: load done, different sums: 1" in text and
                     f"{name}: exit status 0" in text, text)
        yield result(f"{name}: they are in the machine's memory as long as it runs",
                     found.get(f"{name}-runs", 0) >= marks, str(found))
    pages = int(told["unmapped"].get("pages", 0))
    yield result("no page of the guest is in the direct map",
                 pages > 4096 and told["unmapped"]["present"] == "0" and
                 told["mapped"].get("present") == told["mapped"].get("pages"), text)
    yield result("none of its secrets is seen through the direct map",
                 told["unmapped"].get("marks") == "0" and
                 int(told["mapped"].get("marks", 0)) >= marks, text)
    yield result("they are gone when it has ended", found.get("unmapped-ended") == 0, str(found))
    yield result("the system does not hibernate meanwhile",
                 "unmapped: hibernation fails: Device or resource busy" in text and
                 "mapped: hibernation works" in text, text)
    maps = dict(re.findall(r"^unmapped: (before|after): +(.*)$", text, re.M))
    yield result("the direct map is as before then, and no 2 MiB entry was split",
                 "unmapped: 2 MiB entries split: 0" in text and
                 bool(maps) and maps.get("before") == maps.get("after"), text)


def group_story(suite):
    """the main job: no 2 MiB entry is split, all is given back"""
    machine = suite.boot("story", "story", ["64"], timeout=180, allow=("oom",), memory=2048)
    text = "\n".join(machine.said)
    yield result("no 2 MiB entry of the direct map is split",
                 "direct map split: 0 for 64 MiB" in text, text)
    last = text[text.rfind("after memory was short"):]
    owned = re.findall(r"zone\s+\w+ +(\d+) +\d+ +\d+ +\d+ +\d+$", last, re.M)
    yield result("memory pressure takes everything back",
                 bool(owned) and not any(int(n) for n in owned), last)


GROUPS = {name[6:]: function for name, function in list(globals().items())
          if name.startswith("group_")}


def run_group(name, function, suite, totals):
    print(f"\n== {name}: {function.__doc__}", flush=True)
    start = time.monotonic()
    try:
        for test, verdict, detail in function(suite):
            totals[verdict] += 1
            print(f"{verdict:7}{test}", flush=True)
            if verdict == FAILED and detail:
                print("\n".join(f"    | {line}" for line in detail.splitlines()[-40:]), flush=True)
    except vm.VMError as error:
        totals[FAILED] += 1
        print(f"{FAILED:7}{name}\n" + "\n".join(f"    | {line}" for line in str(error).splitlines()))
    print(f"   ({time.monotonic() - start:.0f} s)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="plain")
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; default all")
    options = parser.parse_args()
    unknown = [name for name in options.groups if name not in GROUPS]
    if unknown:
        sys.exit(f"test: error: there is no group {' '.join(unknown)}; there are: {' '.join(GROUPS)}")

    os.chdir(TOP)
    good, output = command(TOP / "workbench/bin/image", options.variant)
    if not good:
        sys.exit(f"test: error: {output}")
    totals = {PASSED: 0, FAILED: 0, SKIPPED: 0}
    suite = Suite(options.variant)
    for name in options.groups or GROUPS:
        run_group(name, GROUPS[name], suite, totals)
    print(f"\n{totals[PASSED]} passed, {totals[FAILED]} failed, {totals[SKIPPED]} skipped")
    sys.exit(1 if totals[FAILED] or not totals[PASSED] else 0)


if __name__ == "__main__":
    main()
