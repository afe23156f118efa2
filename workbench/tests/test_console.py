# SPDX-License-Identifier: GPL-2.0-only
"""The scan of a console: what it must notice, and what it must let pass."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import console  # noqa: E402

NOTICED = [
    "[    1.0] BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "[    1.0] WARNING: mm/unmapped-alloc.c:42 at take_free_locked+0x1/0x2, CPU#0: sh/1",
    "[    1.0] WARNING: possible circular locking dependency detected",
    "[    1.0] INFO: task secrets:93 blocked for more than 120 seconds.",
    "[    1.0] INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "[    1.0] Kernel panic - not syncing: sysrq triggered crash",
    "[    1.0] Oops: general protection fault, 0000 [#1] SMP",
    "[    1.0] BUG: KASAN: use-after-free in __free_pages_prepare+0x1/0x2",
    "[    1.0] BUG: Bad page state in process secrets  pfn:12345",
    "[    1.0] watchdog: BUG: soft lockup - CPU#1 stuck for 26s!",
    "[    1.0] BUG: sleeping function called from invalid context at mm/x.c:1",
    "[    1.0] unmapped_alloc: direct map not restored, memory is lost",
]

QUIET = [
    "[    0.0] Linux version 7.3.4 (workbench@workbench)",
    "[    0.0] Speculative Store Bypass: Vulnerable",
    "[    0.1] BUGs are counted elsewhere",
    "running memfd_secret",
]

OOM = """\
[   12.3] secrets invoked oom-killer: gfp_mask=0x140dca, order=0
[   12.3] CPU: 0 UID: 0 PID: 99 Comm: secrets Not tainted 7.3.4 #1
[   12.3] Call Trace:
[   12.3]  dump_header+0x4a/0x240
[   12.4] Out of memory: Killed process 99 (secrets) total-vm:1kB
"""


class Splats(unittest.TestCase):
    def test_noticed(self):
        for line in NOTICED:
            with self.subTest(line):
                self.assertEqual(console.splats(f"fine\n{line}\nfine"), [line])

    def test_quiet(self):
        self.assertEqual(console.splats("\n".join(QUIET)), [])

    def test_oom(self):
        self.assertEqual(len(console.splats(OOM)), 1)
        self.assertEqual(console.splats(OOM, allow=("oom",)), [])

    def test_trace_after_oom(self):
        text = OOM + "[   13.0] Call Trace:\n"
        self.assertEqual(len(console.splats(text, allow=("oom",))), 1)

    def test_lost_on_purpose(self):
        self.assertEqual(console.splats(NOTICED[-1], allow=("lost",)), [])

    def test_failures_on_purpose(self):
        text = ("[    1.0] programs: vmalloc error: size 4096, failed to allocated page array size 8\n"
                "[    1.0] Call Trace:\n")
        self.assertEqual(len(console.splats(text)), 1)
        self.assertEqual(console.splats(text, allow=("failures",)), [])
        self.assertEqual(len(console.splats(text + "[    2.0] Call Trace:\n", allow=("failures",))), 1)

    def test_crash_on_purpose(self):
        text = f"[    9.0] sysrq: Trigger a crash\n{NOTICED[5]}\n[    0.0] Linux version 7.3.4\n"
        self.assertEqual(console.splats(text), [NOTICED[5]])
        self.assertEqual(console.splats(text, allow=("crash",)), [])
        self.assertEqual(console.splats(text + NOTICED[0], allow=("crash",)), [NOTICED[0]])


if __name__ == "__main__":
    unittest.main()
