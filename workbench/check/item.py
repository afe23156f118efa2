# SPDX-License-Identifier: GPL-2.0-only
"""What all checks share: the files that the series touches, logs, the untouched kernel to compare with.

A check is a function that returns an Outcome. Its findings are lines without
line numbers, so that a leftover stays the same when code moves. What a check
can't decide is Broken, and so is a check that looked at nothing.
"""

import collections
import dataclasses
import functools
import pathlib
import re
import tempfile

from common import LINUX, LOGS, TOP, command, git_linux

__all__ = ["Broken", "LINUX", "LOGS", "Outcome", "TOP", "at", "base_files", "command", "compiled_files", "git_linux",
           "introduced", "keep_log", "kernel_files", "logged", "new_files", "object_of", "touched_files"]


# Where the check is that runs, for those who wait.
at = [""]


class Broken(Exception):
    """The check could not decide; the text says why."""


@dataclasses.dataclass
class Outcome:
    findings: list
    looked_at: int
    what: str


@functools.cache
def changed(status):
    """The files of the kernel tree that the series adds (A), edits (M), or both (AM)."""
    files = git_linux("diff", "--name-only", f"--diff-filter={status}", "base", "HEAD").split()
    if not files:
        raise Broken(f"the series has no file for --diff-filter={status}")
    return files


def touched_files(*suffixes, complete=True):
    return [file for file in changed("AM" if complete else "A") if file.endswith(suffixes or "")]


def new_files(*suffixes):
    return touched_files(*suffixes, complete=False)


def kernel_files(*suffixes, complete=True):
    """Of the kernel itself, not of what runs in user space."""
    return [file for file in touched_files(*suffixes, complete=complete) if not file.startswith("tools/")]


def compiled_files(complete=True):
    return kernel_files(".c", complete=complete)


def object_of(source):
    """What make calls its object. KVM's common part is compiled in the architecture's folder."""
    return ("arch/x86/kvm/../../../" if source.startswith("virt/kvm/") else "") + source[:-1] + "o"


@functools.cache
def base_files():
    """A folder with those of the touched files that the untouched kernel has; removed with the process."""
    folder = tempfile.TemporaryDirectory(prefix="check-base-")
    for file in changed("M"):
        path = pathlib.Path(folder.name) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(git_linux("show", f"base:{file}") + "\n")
    return folder


def introduced(head, base):
    """Findings that the untouched kernel has not, or not as often."""
    return sorted((collections.Counter(head) - collections.Counter(base)).elements())


def keep_log(name, output):
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / f"check-{name}.log").write_text(output)


def logged(name, *words, may_fail=False, **options):
    """Run a command, keep its output as a log; returns the output."""
    good, output = command(*words, **options)
    keep_log(name, f"$ {' '.join(str(word) for word in words)}\n{output}")
    if not good and not may_fail:
        tail = "\n".join(output.splitlines()[-20:])
        raise Broken(f"{words[0]} failed:\n{tail}")
    if re.search(r"^Traceback|: command not found$", output, re.M):
        raise Broken(f"{words[0]} did not work:\n{output[-1500:]}")
    return output
