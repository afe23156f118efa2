# SPDX-License-Identifier: GPL-2.0-only
"""What a stream of TAP or KTAP says, by the kernel's own parser of it."""

import functools
import importlib
import io
import sys

from common import LINUX

from .suite import FAILED, PASSED, SKIPPED

# What kselftest programs end with that neither passed nor failed.
KSFT_SKIP = 4


@functools.cache
def kunit():
    """tools/testing/kunit of the assembled tree; returns its parser and its printer."""
    folder = str(LINUX / "tools/testing/kunit")
    # The tree is the kernel's: it gets no bytecode.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("kunit_parser"), importlib.import_module("kunit_printer")
    finally:
        sys.path.remove(folder)
        sys.dont_write_bytecode = before


def parse(lines):
    """Returns the tree of tests, and what is wrong with the stream itself."""
    parser, printer = kunit()
    stream = parser.extract_tap_lines(lines)
    if not stream:
        return None, [f"not after a version of TAP: {line}" for line in lines if parser.TEST_RESULT.match(line)]
    said = io.StringIO()
    root = parser.parse_test(stream, 0, [], False, printer.Printer(output=said))
    errors = [line.partition("[ERROR] ")[2] for line in said.getvalue().splitlines() if "[ERROR]" in line]
    if root.expected_count is None:
        errors.append("there is no plan, so that nothing tells if it is complete")
    # The parser reads no more than was planned.
    errors += [f"not planned: {line}" for line in stream if parser.TEST_RESULT.match(line)]
    return root, errors


def verdict_of(test):
    """Of a test without subtests, or of a suite itself."""
    status = kunit()[0].TestStatus
    return {status.SUCCESS: PASSED, status.SKIPPED: SKIPPED}.get(test.status, FAILED)


def leaves(test):
    """The results of all tests that have no subtests, and of suites that failed by themselves."""
    if not test.subtests:
        name, verdict = test.name, verdict_of(test)
        if verdict == SKIPPED:
            name += f" # SKIP {test.skip_reason}"
        yield name or "a result that is missing", verdict, "\n".join(test.log[-12:])
        return
    failed = False
    for subtest in test.subtests:
        for name, verdict, detail in leaves(subtest):
            failed |= verdict == FAILED
            yield name, verdict, detail
    if test.status == kunit()[0].TestStatus.FAILURE and not failed:
        yield test.name, FAILED, "\n".join(["none of its tests failed", *test.log[-12:]])


def exit_status(lines):
    """What the job said of a program's end (vm/jobs/selftests); KUnit has none."""
    return next((line.split()[-1] for line in lines if line.startswith("# exit status")), None)


def tap_results(name, lines, bare=False):
    """The results of a program or a suite; a KTAP suite's own line is one only if
    it says more than its tests.

    bare: this program may print no TAP; its exit status is the result then.
    """
    status = exit_status(lines)
    root, errors = parse(lines)
    if not root or not root.subtests:
        passed = PASSED if bare and not root and not errors else FAILED
        verdict = {"0": passed, str(KSFT_SKIP): SKIPPED}.get(status, FAILED)
        return [(name, verdict, "\n".join(["it has no result", *errors, *lines[-12:]]))]
    results = [(f"{name}: {test}", verdict, detail)
               for subtest in root.subtests for test, verdict, detail in leaves(subtest)]
    failed = any(verdict == FAILED for _, verdict, _ in results)
    if errors:
        results.append((f"{name}: its TAP", FAILED, "\n".join(errors)))
    if status not in (None, "0") and not failed:
        results.append((f"{name}: exit status", FAILED, f"{status}, but no test failed"))
    return results
