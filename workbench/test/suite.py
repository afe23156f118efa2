# SPDX-License-Identifier: GPL-2.0-only
"""What all groups share: the options of a run, results."""

import vm
from common import LOGS, TOP, command

PASSED, FAILED, SKIPPED = "ok", "not ok", "skip"


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
