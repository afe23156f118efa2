# SPDX-License-Identifier: GPL-2.0-only
"""What all groups share: the options of a run, results."""

import vm
from common import LOGS, TOP, command

PASSED, FAILED, SKIPPED = "ok", "not ok", "skip"

# How many times slower these kernels are.
PATIENCE = {"debug": 5, "race": 5, "rt": 4}

OPTIONS = {
    # When identify_cpu() clears the boot CPU's capabilities to read them again,
    # LA57 is among them. To an interrupt in between, KASAN says of each address in
    # the direct map that it is a wild one.
    "debug": {"model": "max,+svm,-la57"},
    # A single thread lets one CPU run for so long that no other one gets between
    # an access and its end, however long KCSAN delays it.
    "race": {"accel": "tcg,thread=multi"},
    # KVM wants a constant TSC there.
    "rt": {"model": "max,+svm,+invtsc"},
}


class Suite:
    """Options of this run, and what the groups share."""

    def __init__(self, variant):
        self.variant = variant
        self.image = TOP / "build" / ("x86_64" if variant == "plain" else f"x86_64-{variant}")
        self.patience = PATIENCE.get(variant, 1)
        self.options = OPTIONS.get(variant, {})

    def boot(self, name, job, args=(), timeout=60, **options):
        options = {**self.options, **options}
        return vm.run_job(self.image, name, job, args, timeout * self.patience,
                          memory=options.pop("memory", 1024), **options)


def result(name, good, detail=""):
    return name, PASSED if good else FAILED, detail


def check(name, *words, **options):
    good, output = command(*words, **options)
    return result(name, good, output)


def make(log, tree, out, *targets):
    """Call the kernel's make."""
    script = '. workbench/lib.sh; t=$1 o=$2; shift 2; kmake -C "$t" O="$o" "$@"'
    good, output = command("bash", "-c", script, "make", tree, out, *targets, cwd=TOP)
    LOGS.mkdir(exist_ok=True)
    (LOGS / f"{log}.log").write_text(output)
    return good, output
