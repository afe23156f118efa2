# SPDX-License-Identifier: GPL-2.0-only
"""The workbench itself: its unit tests, and the VMs that have to fail."""

import unittest

import vm
from common import TOP

from .suite import check, result


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

    for how in ("panic", "warn", "warn-panics", "bug", "silent"):
        yield expect_vm_error(suite, how, timeout=60)
    yield expect_vm_error(suite, "hang", timeout=15)
    yield from expect_vm_fine(suite)


def expect_vm_error(suite, how, timeout):
    name = f"a VM that ends by '{how}' is a failure"
    try:
        suite.boot(f"break-{how}", "break", [how], timeout)
    except vm.VMError as error:
        wanted = {"panic": "Kernel panic", "warn": "WARNING", "warn-panics": "panic_on_warn set", "bug": "kernel BUG",
                  "hang": "not done after", "silent": "without a verdict"}[how]
        return result(name, wanted in str(error) and "console.log" in str(error), str(error))
    return result(name, False, "it passed")


def expect_vm_fine(suite):
    try:
        suite.boot("break-fine", "break", ["fine"])
        yield result("a VM that ends well passes", True)
    except vm.VMError as error:
        yield result("a VM that ends well passes", False, str(error))
