# SPDX-License-Identifier: GPL-2.0-only
"""What in a kernel's console output means that something is wrong."""

import re

SPLATS = [re.compile(pattern) for pattern in (
    r"\bBUG: ",
    r"\bWARNING: ",
    r"\bINFO: (rcu|task|possible|suspicious|trying)",
    r"\bOops\b",
    r"\bKernel panic",
    r"\bgeneral protection fault",
    r"\bUBSAN:",
    r"\bKASAN:",
    r"Bad page state",
    r"kernel BUG at",
    r"soft lockup",
    r"hard LOCKUP",
    r"scheduling while atomic",
    r"sleeping function called",
    r"possible recursive locking",
    r"unreferenced object",
    r"refcount_t:",
    r"list_(add|del) corruption",
    r"unmapped_alloc: direct map not restored",
    r"Call Trace:",
)]

# Lines that match a splat and are none, each with its reason.
ALLOWED = [re.compile(pattern) for pattern, _reason in (
    (r"unmapped_alloc: direct map not restored",
     "the KUnit test unmapped_test_restore_fails and the torture test make it fail"),
)]

# What Debian's scripts say in the kernel that saves a crashed one's dump.
CRASH_SCRIPTS = re.compile(r"WARNING: kdump-sysctl needs /etc/kdump/sysctl.conf on initrd")

# What SysRq-c does to a kernel, from its first line to the next kernel's.
CRASH_START = re.compile(r"sysrq: Trigger a crash")
BOOT = re.compile(r"Linux version ")

# The report of the OOM killer has a call trace. It starts and ends so:
OOM_START = re.compile(r"invoked oom-killer:")
OOM_END = re.compile(r"Out of memory: Killed process|Memory cgroup out of memory: Killed")

# So begins the report of an allocation that failed; its call trace comes next.
FAILURE = re.compile(r": (page allocation failure: order:|vmalloc error: size )")


def splats(text, allow=()):
    """The lines of a console that mean trouble.

    allow: reasons why more is allowed here; "oom" accepts the OOM killer's
    reports, "lost" the message of memory lost on purpose, "failures" those of
    allocations that are made to fail, "crash" what SysRq-c does.
    """
    found, in_oom, in_failure, in_crash = [], False, False, False
    for line in text.splitlines():
        if CRASH_START.search(line) and "crash" in allow:
            in_crash = True
        if BOOT.search(line):
            in_crash = False
        if in_crash or ("crash" in allow and CRASH_SCRIPTS.search(line)):
            continue
        if OOM_START.search(line):
            in_oom = True
            if "oom" not in allow:
                found.append(line)
        if OOM_END.search(line):
            in_oom = False
        if "failures" in allow and FAILURE.search(line):
            in_failure = True
        if "Call Trace:" in line and (in_oom or in_failure):
            in_failure = False
            continue
        if "lost" in allow and any(a.search(line) for a in ALLOWED):
            continue
        if any(s.search(line) for s in SPLATS):
            found.append(line)
    return found
