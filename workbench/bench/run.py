# SPDX-License-Identifier: GPL-2.0-only
"""Run cases, and say what they told."""

import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import subprocess
import time

import vm
from bench import irqs
from bench.cases import KERNELS
from bench.results import Outcome

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
IMAGES = {"base": TOP / "build/x86_64-base", "plain": TOP / "build/x86_64"}


def output(*words):
    done = subprocess.run(words, cwd=TOP, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def identity():
    """Which state of the repository this is, and what runs it."""
    return {"commit": output("git", "rev-parse", "HEAD"),
            "dirty": bool(output("git", "status", "--porcelain", "--untracked-files=no")),
            "qemu": output("qemu-system-x86_64", "--version").splitlines()[0]}


def same(commit, paths):
    """Are these as they were in a commit?"""
    return subprocess.run(["git", "diff", "--quiet", commit, "--", *paths], cwd=TOP,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def kernel_identity(kernel):
    image = IMAGES[kernel]
    return {"release": (image / "include/config/kernel.release").read_text().strip(),
            "config_sha256": hashlib.sha256((image / ".config").read_bytes()).hexdigest(),
            "image_sha256": hashlib.sha256((image / "bzImage").read_bytes()).hexdigest()}


def take(case, outcome, said):
    """The lines of a run: "NAME VALUE [UNIT]", "series X 4K 2M 1G", "phase NAME X".
    A value without a unit is in the case's, and for as much as the case does."""
    for line in said:
        name, *words = line.split()
        if name == "series":
            outcome.series.append(tuple(float(word) for word in words))
        elif name == "phase":
            outcome.phases.append((words[0], float(words[1])))
        else:
            value, *unit = words
            outcome.figures.setdefault(name, []).append(float(value) / (1 if unit else case.per))
            outcome.units[name] = unit[0] if unit else case.unit


def check_same(first, second):
    """Instructions are the same from run to run, or nothing can be said by them."""
    if (first.series, first.phases) != (second.series, second.phases):
        raise vm.VMError("two runs took a different course")
    different = [f"{name}: {values} and {second.figures.get(name)}"
                 for name, values in first.figures.items()
                 if values != second.figures.get(name)]
    different += [f"{name}: only in the second run"
                  for name in second.figures.keys() - first.figures.keys()]
    if different:
        raise vm.VMError("two runs did not say the same:\n" + "\n".join(different))


def merge(case, outcome, once):
    """One more run of a case. Raises VMError if it has to be like those before."""
    if case.how == "instructions" and outcome.figures:
        check_same(outcome, once)
    for name, values in once.figures.items():
        outcome.figures.setdefault(name, []).extend(values)
    outcome.units.update(once.units)
    outcome.series, outcome.phases = once.series, once.phases


@contextlib.contextmanager
def swap_disk(case, name):
    """QEMU's options for the case's disk, which is empty, and is gone afterwards."""
    if not case.swap:
        yield ()
        return
    disk = TOP / "build/vm" / f"{name}.disk"
    disk.parent.mkdir(parents=True, exist_ok=True)
    disk.write_bytes(b"")
    os.truncate(disk, case.swap << 20)
    try:
        yield ("-drive", f"file={disk},format=raw,if=virtio,cache=unsafe")
    finally:
        disk.unlink()


def run_once(case, kernel, number):
    """Boot one VM for a case; what goes wrong is kept in the outcome."""
    # In one piece: two of them may be told at once.
    print(f"bench: {case.name}, {KERNELS[kernel]}, {case.how}" +
          f", run {number} of {case.runs}" * (case.runs > 1) + "\n", end="", flush=True)
    once = Outcome(case.name, kernel)
    start = time.monotonic()
    name, options = f"bench-{case.name}-{kernel}-{number}", case.machine()
    try:
        if case.irqs:
            options["extra"] += irqs.options(IMAGES[kernel], name)
        with swap_disk(case, name) as disk:
            options["extra"] += disk
            machine = vm.run_job(IMAGES[kernel], name, case.job, case.args, **options)
        take(case, once, machine.said + (irqs.said(IMAGES[kernel], name) if case.irqs else []))
        if not once.figures:
            raise vm.VMError("the job said nothing")
    except (vm.VMError, OSError, ValueError, IndexError, subprocess.CalledProcessError) as error:
        once.fail(error)
    once.seconds = time.monotonic() - start
    return once


def add(case, outcome, once):
    """One more run to the others of a case on a kernel."""
    outcome.seconds += once.seconds
    try:
        if once.status != "ok":
            raise vm.VMError(once.error)
        if outcome.status == "ok":
            merge(case, outcome, once)
    except vm.VMError as error:
        outcome.fail(error)
        print(f"bench: FAILED: {case.name}, {KERNELS[outcome.kernel]}: {error}", flush=True)


def at_once(case):
    """How many VMs may run side by side: instructions are the same however busy
    the host is, nothing else is."""
    return min(2, os.cpu_count()) if case.how == "instructions" else 1


def run_case(case):
    """All runs of a case on its kernels, which take turns."""
    outcomes = {kernel: Outcome(case.name, kernel) for kernel in case.kernels}
    turns = [(kernel, number) for number in range(1, case.runs + 1) for kernel in case.kernels]
    with concurrent.futures.ThreadPoolExecutor(at_once(case)) as pool:
        for once in pool.map(lambda turn: run_once(case, *turn), turns):
            add(case, outcomes[once.kernel], once)
    return outcomes
