# SPDX-License-Identifier: GPL-2.0-only
"""What runs in VMs: KUnit, kselftest, torture, guests."""

import hashlib
import json
import os
import re

import vm

from .suite import FAILED, PASSED, SKIPPED, result
from .tap import tap_results

KSELFTESTS = ["unmapped_alloc", "secretmem_folios", "memfd_secret"]
KVM_KSELFTESTS = ["guest_memfd_test", "guest_memfd_fail_test", "pre_fault_memory_test",
                  "private_mem_conversions_test+-n+2+-m+2", "svm_nested_guest_memfd_test",
                  "set_memory_region_test", "kvm_clock_test", "guest_memfd_flush_test"]
KVM_FOLIOS = ["guest_memfd_folios_test"]

# In the emulator, the rate of the TSC that the kernel finds early in boot is wrong
# by 0.24 % in every other run, and is corrected two seconds later. KVM keeps the
# first one as its guests' rate when the TSC is not constant. Then it takes the
# rate of the machine for another one and, as it can't scale, leaves the guest's
# TSC without an offset (kvm_set_tsc_khz() fails, the ratio stays 0). The guest's
# clock begins at the machine's age: a guest stood still until its clock was that old.
KVM_TSC = "kvm.tsc_tolerance_ppm=10000"

# A machine with two nodes of one CPU each, the second one small.
TWO_NODES = ("-smp", "2,sockets=2", "-object", "memory-backend-ram,id=m0,size=768M", "-numa", "node,memdev=m0,cpus=0",
             "-object", "memory-backend-ram,id=m1,size=256M", "-numa", "node,memdev=m1,cpus=1")


def group_kunit(suite):
    """KUnit, inside the kernel"""
    yield from kunit_results(suite, "kunit")
    if suite.variant == "debug":
        # The direct map has 4 KiB entries only then, and free pages are absent.
        yield from kunit_results(suite, "kunit-debug_pagealloc", append="debug_pagealloc=on")


def kunit_results(suite, name, **options):
    machine = suite.boot(name, "kunit", timeout=120, allow=("lost",), **options)
    for suite_name in ("unmapped_alloc", "dma_unmapped"):
        if f"kunit-{suite_name}" not in machine.results:
            yield result(name, False, f"no results of the suite {suite_name}")
    for file, lines in machine.results.items():
        yield from tap_results(file.replace("kunit", name, 1), lines)


def group_kselftest(suite):
    """kselftest: the allocator's, and the kernel's own"""
    for test in KSELFTESTS:
        machine = suite.boot(f"kselftest-{test}", "selftests", [test], timeout=120, allow=("oom",))
        yield from tap_results(test, machine.results.get(test, []))
    if suite.variant == "rt":
        yield "how tests treat a system that others use", SKIPPED, "it needs TRANSPARENT_HUGEPAGE"
    else:
        yield from considerate_results(suite)


# Tests that are killed: the program, the test, what it changes just before.
KILLED = (
    ("unmapped_alloc", "fragments_heal", "a sysctl"),
    ("unmapped_alloc", "memcg_limit", "control groups"),
    ("secretmem_folios", "one_fault", "transparent huge pages"),
    ("secretmem_folios", "memcg_limit", "control groups"),
    ("secretmem_folios", "each_allocation_fails", "failures of slab"),
    ("secretmem_folios", "memory_failure_unsplit", "failures of slab"),
    ("guest_memfd_fail_test", "", "failures of pages"),
    ("guest_memfd_fail_test", "", "failures of functions"),
    ("guest_memfd_fail_test", "", "control groups"),
    ("guest_memfd_fail_test", "", "who is in them"),
)


def considerate_results(suite):
    """How tests treat a system that others use, too."""
    machine = suite.boot("kselftest-considerate", "considerate", timeout=240, allow=("oom",))
    told = dict(line.split(": ", 1) for line in machine.said)
    skipped = "pass:0 fail:0 xfail:0 xpass:0 skip:[1-9]"
    for what, name, wanted in (
            ("unmapped_alloc skips what is destructive, unless it is asked for", "not asked for", skipped),
            ("secretmem_folios skips what is destructive, unless it is asked for", "folios, not asked for", skipped),
            ("guest_memfd_fail_test skips all, unless it is asked for", "KVM, not asked for",
             "status 4, as before, .*RUN_DESTRUCTIVE"),
            ("unmapped_alloc skips all while others use the allocator", "used by others", skipped),
            ("guest_memfd_fail_test skips all while others use the allocator", "KVM, used by others",
             "status 4, as before, .*others use"),
            ("others use large folios meanwhile", "large folios of others", "[1-9]"),
            # What is destructive, and what needs two nodes.
            ("secretmem_folios passes while others use secrets and large folios", "folios, used by others",
             "pass:[1-9][0-9]* fail:0 xfail:0 xpass:0 skip:5 "),
            ("unmapped_alloc runs when they have ended", "not used by others", "pass:1 fail:0 ")):
        yield result(what, bool(re.match(wanted, told.get(name, ""))), str(told))
    for program, test, what in KILLED:
        name = f"{program} {test}".strip()
        if suite.variant == "small" and "memory_failure" in test:
            yield f"{name}, killed", SKIPPED, "it needs MEMORY_FAILURE"
            continue
        yield result(f"{name}, killed when it has changed {what}, leaves everything as before",
                     told.get(f"{name}, {what}") == "restored", str(told))


# References in page extensions, switched on by a test only or always on; or in
# the flags of pages.
PROFILING = {"page_ext-later": "0", "page_ext": "1", "compressed": "1,compressed"}


def group_tags(suite):
    """memory allocation profiling: who is charged for unmapped pages"""
    for name, how in PROFILING.items():
        if suite.variant == "debug" and how == "0":
            continue    # it can't be switched there
        append = f"sysctl.vm.mem_profiling={how}"
        for test, verdict, detail in kunit_results(suite, f"tags-{name}", append=append):
            # Nothing about tags may be left out, but what can't be switched.
            if verdict == SKIPPED and "_tag_" in test and how != "0" and "switched" not in test:
                verdict = FAILED
            yield test, verdict, detail
        if how != "0":
            yield from allocinfo_results(suite, f"allocinfo-{name}", append)
    machine = suite.boot("tags-ioctl", "selftests", ["allocinfo_ioctl_test"], timeout=60,
                         append="sysctl.vm.mem_profiling=1")
    # The kernel's own program does not say which version of TAP it prints.
    yield from tap_results("allocinfo_ioctl_test",
                           ["TAP version 13", *machine.results.get("allocinfo_ioctl_test", [])])


def allocinfo_results(suite, name, append):
    machine = suite.boot(name, "allocinfo", ["8"], timeout=60, append=append)
    told = {}
    for line in machine.said:
        when, what, *numbers = line.split()
        told[when.rstrip(":"), what] = [int(number) for number in numbers]
    times = ("before", "in-use", "loaded", "gone", "freed", "ended")
    yield result(f"{name}: what is used is charged to its consumers, to the last byte",
                 # A module that is gone has no line.
                 all(told[when, "used"][0] - told[when, "consumers"][0] == (16 * 4096 if when == "gone" else 0)
                     for when in times), str(told))
    yield result(f"{name}: secrets are charged to secretmem",
                 told["in-use", "secrets"] == [8 << 20, 2048] and told["ended", "secrets"] == [0, 0], str(told))
    yield result(f"{name}: a module is charged, and its pages can be freed when it is gone",
                 told["loaded", "module"] == [16 * 4096, 1] and told["freed", "module"] == [0, 0], str(told))
    yield result(f"{name}: nothing is negative",
                 all(told[when, "negative"] == [0] for when in times), str(told))
    yield result(f"{name}: an empty cache is charged nothing", told["dropped", "cache"] == [0, 0], str(told))


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
    for name, verdict, detail in kunit_results(suite, "kunit-numa", extra=TWO_NODES):
        yield name, FAILED if verdict == SKIPPED and "_node" in name else verdict, detail
    machine = suite.boot("numa-folios", "selftests", ["secretmem_folios"], timeout=120, extra=TWO_NODES)
    for name, verdict, detail in tap_results("secretmem_folios", machine.results.get("secretmem_folios", [])):
        if "migrate" in name and verdict == SKIPPED:
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
    yield from virtio_mem_results(suite)


# What a virtio-mem device is asked to have, one after the other, MiB. It looks at
# its memory again when it is asked for something else.
VIRTIO_MEM_SIZES = (0, 8, 512)


def virtio_mem_results(suite):
    """A virtio-mem device plugs and unplugs 2 MiB at a time, also of memory that is used in part."""
    device = ["-m", "size=1024M,maxmem=4G", "-object", "memory-backend-ram,id=m0,size=1024M",
              "-numa", "node,nodeid=0,memdev=m0", "-numa", "node,nodeid=1",
              "-object", "memory-backend-ram,id=vm1,size=1G",
              "-device", "virtio-mem-pci,id=vmem1,memdev=vm1,node=1,requested-size=512M"]

    def resize(machine, qemu):
        size = VIRTIO_MEM_SIZES[len(machine.asked)] << 20
        return machine.qmp(qemu, ("qom-set", {"path": "/machine/peripheral/vmem1",
                                              "property": "requested-size", "value": size}))

    machine = suite.boot("virtio-mem", "virtio-mem", timeout=180, extra=tuple(device), answer=resize,
                         append="memhp_default_state=online_kernel")
    mib = {name: int(kib) >> 10 for name, kib in (line.split(": ") for line in machine.said)}
    yield result("virtio-mem: the cache has memory of the device", mib["owned"] > 2 * 64, f"{mib} MiB")
    yield result("virtio-mem: all but what is used, and its surroundings, is unplugged",
                 64 < mib["used"] < 128, f"{mib} MiB")
    yield result("virtio-mem: what nobody uses is unplugged", mib["unused"] < 32, f"{mib} MiB")
    yield result("virtio-mem: it is plugged again, and keeps secrets", mib["again"] == mib["plugged"] == 512, f"{mib} MiB")


def group_kvm(suite):
    """kselftest: KVM's, with guest memory that has no direct map"""
    yield from kvm_results("kvm", suite, KVM_KSELFTESTS)
    for name, verdict, detail in kvm_results("kvm-2nodes", suite, ["guest_memfd_test"], *TWO_NODES):
        yield f"2 nodes: {name}", verdict, detail
    yield from kvm_results("kvm-folios", suite, KVM_FOLIOS)
    for name, verdict, detail in kvm_results("kvm-shadow", suite, KVM_FOLIOS, append="kvm_amd.npt=0"):
        yield f"shadow paging: {name}", verdict, detail


def kvm_results(name, suite, tests, *machine_options, append=""):
    """A test that leaves out anything has failed. They insist on the TSC as
    clock source, which the kernel trusts in a VM only if it is told to."""
    machine = suite.boot(name, "selftests", tests, timeout=240, allow=("oom",),
                         append=f"tsc=reliable {KVM_TSC} {append}", share=True, has_guests=True,
                         extra=machine_options)
    for test in tests:
        lines = machine.results.get(test, [])
        for title, verdict, detail in tap_results(test.replace("+", " "), lines, bare=True):
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
    for what, name in (("", ""), (" in folios of 2 MiB", "-large")):
        kept, freed = found.get(f"kept{name}"), found.get(f"freed{name}")
        yield result(f"secrets in use{what} are found in memory, once each", kept == pages, f"{kept} of {pages}")
        yield result(f"freed secrets{what} are gone from all of memory", freed == 0, f"{freed} are left")


class ReportingHost:
    """The memory of a VM that reports what is free of it: a file, of which QEMU
    punches out what was reported."""

    def __init__(self):
        self.before = self.after = self.free = self.holes = 0

    def answer(self, machine, qemu):
        fd = self.memory(qemu)
        try:
            if not machine.asked:
                self.before = os.fstat(fd).st_blocks * 512
                return
            self.after = os.fstat(fd).st_blocks * 512
            machine.qmp(qemu, ("stop", {}))
            for line in machine.said:
                if line.startswith("free "):
                    start, pages = map(int, line.split()[1:])
                    self.look(fd, start * 4096, (start + pages) * 4096)
            machine.qmp(qemu, ("cont", {}))
        finally:
            os.close(fd)

    @staticmethod
    def memory(qemu):
        for entry in os.scandir(f"/proc/{qemu.pid}/fd"):
            if os.readlink(entry.path).startswith("/memfd:memory-backend-memfd"):
                return os.open(entry.path, os.O_RDWR)
        raise vm.VMError("QEMU has no memory that is a file")

    def look(self, fd, start, end):
        """The holes are free for the host's use. Their contents are undefined
        from then on: fill them with something."""
        self.free += end - start
        while start < end:
            hole = min(os.lseek(fd, start, os.SEEK_HOLE), end)
            try:
                start = min(os.lseek(fd, hole, os.SEEK_DATA), end)
            except OSError:     # none follows
                start = end
            self.holes += start - hole
            os.pwrite(fd, b"rubbish!" * ((start - hole) // 8), hole)


def boot_reporting(suite, name, host, tenths, append=""):
    """A VM whose memory is a file of the host. Returns what the VM said, and sizes."""
    # Physical addresses are offsets in the file: there is less than 2 GiB.
    machine = suite.boot(name, "reported", ["16", str(tenths)], timeout=180, memory=512,
                         append=f"page_reporting.page_reporting_delay_ms=20 {append}", answer=host.answer,
                         extra=("-object", "memory-backend-memfd,id=ram,size=512M,share=on",
                                "-machine", "memory-backend=ram",
                                "-device", "virtio-balloon-pci,free-page-reporting=on"))
    text = "\n".join(line for line in machine.said if not line.startswith("free "))
    return text, f"{host.free >> 10} KiB free, {host.holes >> 10} KiB of them not in QEMU, " \
                 f"which had {host.before >> 10} KiB and has {host.after >> 10} KiB\n{text}"


def contents(name, text):
    """Whatever became of the memory."""
    pages = 3 * 16 * 256
    yield result(f"{name}: the next secrets read zeroes, whatever the host did to the memory",
                 f"used again: 0 not zero of {pages}" in text, text)
    yield result(f"{name}: pages in use are as they were", f"kept: 0 changed of {pages // 3}" in text, text)


def group_reported(suite):
    """free page reporting: what is free in blocks that are partly used"""
    for name, append in (("reported", ""), ("reported-init_on_free", "init_on_free=1")):
        host = ReportingHost()
        text, sizes = boot_reporting(suite, name, host, 300, append)
        yield result(f"{name}: the host has 0.95 of what is free in the cache",
                     host.free >= 40 << 20 and host.holes >= 0.95 * host.free, sizes)
        yield result(f"{name}: QEMU has shrunk by as much", host.before - host.after >= 0.95 * host.free, sizes)
        yield from contents(name, text)
    if suite.variant == "debug":
        yield from not_reported(suite)


def not_reported(suite):
    """Free pages have a pattern that the host was told, but those of the cache don't."""
    name, host = "reported-page_poison", ReportingHost()
    text, sizes = boot_reporting(suite, name, host, 30, "page_poison=1")
    yield result(f"{name}: nothing of the cache is reported",
                 bool(re.search(r"^cached [1-9]\d* reported 0$", text, re.M)) and not host.holes, sizes)
    yield from contents(name, text)


def group_kcore(suite):
    """unmapped pages in /proc/kcore"""
    machine = suite.boot("kcore", "kcore", timeout=90)
    text, mark = "\n".join(machine.said), hashlib.md5(vm.KEPT_MARK).hexdigest()
    yield result("a mapping shows the contents",
                 f"mapping: 0 {1 << 20}" in text and
                 all(f"page {page}: {page} {mark}" in text for page in (0, 1, 255)), text)
    yield result("the direct map shows zeroes, and stays as it is",
                 f"alias: 0 {1 << 20}\n" in text and "alias: 0 bytes" in text and
                 "pages: damaged 0 mapped 0" in text, text)
    yield result("the notes have the type of free pages", "notes: 1" in text, text)


def group_hibernate(suite):
    """hibernation to a disk, which is searched for secrets"""
    disk = vm.TOP / "build" / "vm" / "hibernate.disk"
    disk.parent.mkdir(parents=True, exist_ok=True)
    disk.write_bytes(b"")
    os.truncate(disk, 512 << 20)
    try:
        machine = suite.boot("hibernate", "hibernate", ["8"], timeout=180, memory=512, may_reboot=True,
                             append="resume=/dev/vda hibernate=nocompress",
                             extra=("-drive", f"file={disk},format=raw,if=virtio"),
                             answer=lambda machine, qemu: vm.count_marks(disk))
        ordinary = vm.count_marks(disk, vm.ORDINARY_MARK)
        kept = vm.count_marks(disk, vm.KEPT_MARK)
    finally:
        disk.unlink()
    text, pages = "\n".join(machine.said), 8 * 256
    yield result("pages in use prevent hibernation",
                 "in use: fails: Device or resource busy" in text and
                 "in use: the system was disturbed 0 times" in text, text)
    yield result("the log says what has to be closed",
                 bool(re.search(r"^log: no hibernation, (\d{4}) kB in use .*\nlog: secretmem: \1 kB\n"
                                r"log: secrets \(pid \d+\) has \1 kB$", text, re.M)), text)
    yield result("an open descriptor does not, nor do pages that were freed",
                 "freed: works" in text and machine.console().count("Linux version") == 2, text)
    yield result("everything is as before after resume",
                 "ordinary memory was intact, and the descriptor can be used" in text and
                 "the secrets were intact, and are freed" in text, text)
    yield result("pages that may be in the image are copied without splitting an entry",
                 "created: damaged 0 mapped 0, 0 kB split" in text and "created: 1 times" in text, text)
    yield result("they come back, and are still unmapped", "kept: damaged 0 mapped 0" in text, text)
    yield result("they are found on the disk", kept >= 256, f"{kept} of 256")
    yield result("ordinary memory is found on the disk", ordinary >= pages, f"{ordinary} of {pages}")
    found = dict(machine.asked)
    yield result("no secret is", found == {"in use": 0, "no swap": 0, "freed": 0}, f"{found} are left")
    yield from without_allocator(suite)


def without_allocator(suite):
    """Whatever prevents its start, secretmem does without."""
    machine = suite.boot("hibernate-perpage", "hibernate-perpage", ["8"], timeout=180, memory=512,
                         append="initcall_blacklist=unmapped_alloc_init")
    text = "\n".join(machine.said)
    yield result("without the allocator, pages in use prevent hibernation, too",
                 "the allocator is available" not in text and
                 "in use: fails: Device or resource busy" in text and
                 re.search(r"^in use: .*\bdisk\b", text, re.M) is not None and
                 "in use: the system was disturbed 0 times" in text, text)
    yield result("without the allocator, the log says how much they are",
                 re.search(r"^log: no hibernation, 8192 kB in use ", text, re.M) is not None, text)
    yield result("without the allocator, an open descriptor does not prevent it", "created: 1 times" in text, text)


def group_guest(suite):
    """Linux as a guest, on memory that the kernel can't reach"""
    # One CPU: QEMU was seen to deliver an interrupt twice to a guest of its emulated
    # SVM, the second time when it must not, if another CPU needed its thread.
    machine = suite.boot("guest", "guest", [str(200 * suite.patience)], timeout=400, cpus=1, memory=1536,
                         allow=("clock",), append=KVM_TSC, has_guests=True, initramfs="initramfs-guest.cpio",
                         answer=lambda machine, qemu: machine.count_secrets(qemu))
    text, found = "\n".join(machine.said), dict(machine.asked)
    told = {name: dict(re.findall(rf"^{name}: (pages|present|marks) (\d+)$", text, re.M))
            for name in ("unmapped", "mapped", "restored", "balloon")}
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
    yield result("restored: it is another VM that goes on", "restored: guest: restored from a snapshot" in text, text)
    balloon = re.search(r"^balloon: guest: the balloon was full (\d+) times, (\d+) pages", text, re.M)
    yield result("balloon: it goes up and down, and takes the guest's memory",
                 balloon is not None and int(balloon[1]) > 1 and int(balloon[2]) > 8192, text)
    for name in told:
        pages, present, seen = (int(told[name].get(what, -1)) for what in ("pages", "present", "marks"))
        if name == "mapped":
            yield result("mapped: all of it is in the direct map, and its secrets are seen there",
                         pages > 4096 and present == pages and seen >= marks, text)
            continue
        yield result(f"{name}: no page of the guest is in the direct map", pages > 4096 and present == 0, text)
        yield result(f"{name}: none of its secrets is seen through the direct map", seen == 0, text)
        yield result(f"{name}: they are gone when it has ended", found.get(f"{name}-ended") == 0, str(found))
    yield result("the system does not hibernate meanwhile",
                 "unmapped: hibernation fails: Device or resource busy" in text and
                 "mapped: hibernation works" in text, text)
    maps = dict(re.findall(r"^unmapped: (before|after): +(.*)$", text, re.M))
    yield result("the direct map is as before then, and no 2 MiB entry was split",
                 "unmapped: 2 MiB entries split: 0" in text and
                 bool(maps) and maps.get("before") == maps.get("after"), text)


# What others' program does with memory, of what 'make others' does.
STRESS = ("secretmem", "memfd", "mlockmany", "vm", "userfaultfd", "tlb-shootdown", "pagemove")
# Of these, what does not end when an allocation fails.
FAILING = ("secretmem", "memfd", "userfaultfd")


def group_stress(suite):
    """others' programs, a short cut of 'make others': stress-ng"""
    machine = suite.boot("stress", "stress", ["5", *STRESS], timeout=400, cpus=2, memory=2048, allow=("oom",),
                         host_root=True)
    for name in (*STRESS, "all"):
        lines = machine.results.get(name, [])
        yield result(f"stress-ng: {name}", lines[-1:] == ["status 0"], "\n".join(lines))
    yield from left_results("stress-ng", "\n".join(machine.said))
    yield from failing_results(suite)


def failing_results(suite):
    """Allocations fail at random under load."""
    machine = suite.boot("failing", "failing", ["20", *FAILING], timeout=120, cpus=2, memory=2048,
                         allow=("oom", "failures"), host_root=True)
    text = "\n".join(machine.said)
    for percent in (10, 50):
        failed = re.search(rf"^{percent}: failed pages (\d+) objects (\d+)$", text, re.M)
        yield result(f"stress-ng while {percent} % of the allocations of its processes fail",
                     failed is not None and min(map(int, failed.groups())) > 0 and
                     re.search(rf"^{percent}: .*run completed", text, re.M) is not None, text)
    yield from left_results("failures", text)


def left_results(name, text):
    yield result(f"{name}: secrets can be kept afterwards", "the secrets were intact, and are freed" in text, text)
    yield result(f"{name}: all is given back but kernel text", kept_is_text(text), text)


def kept_is_text(text):
    """Of the allocator's file: it has no pages but those of kernel text."""
    owned = re.findall(r"zone\s+\w+ +(\d+) +\d+ +\d+ +\d+ +\d+$", text, re.M)
    kernel_text = re.search(r"^ *text_unmapped +(\d+)$", text, re.M)
    return bool(owned) and bool(kernel_text) and sum(map(int, owned)) == int(kernel_text[1]) // 4096


def group_story(suite):
    """the main job: no 2 MiB entry is split, all is given back"""
    machine = suite.boot("story", "story", ["64"], timeout=180, allow=("oom",), memory=2048)
    text = "\n".join(machine.said)
    yield result("no 2 MiB entry of the direct map is split",
                 "direct map split: 0 for 64 MiB" in text, text)
    last = text[text.rfind("after memory was short"):]
    yield result("memory pressure takes everything back but kernel text", kept_is_text(last), last)
    yield result("the report of an OOM kill has the cache, by node",
                 any(re.search(r"Node 0 1\d{3} pages unmapped, \d+ of them cached$", line)
                     for line in machine.results.get("oom", [])), str(machine.results.get("oom")))
    yield from unmapped_info(machine.results)
    secret = [json.loads(line)["memory"]["SecretMem"] for line in machine.results.get("watched", []) if line[:1] == "{"]
    yield result("unmapped-info: --watch tells again what has changed",
                 len(secret) > 2 and secret[-1] - secret[0] == 1024, str(machine.results.get("watched")))


def unmapped_info(said):
    """What the tool tells programs is what it tells people."""
    said = {name[len("info "):]: lines for name, lines in said.items() if name.startswith("info ")}
    text = said.get("", [])
    try:
        found = json.loads(said.get("--json", [""])[0])
        values = {name: value for group in ("memory", "direct_map", "consumers") for name, value in found[group].items()}
    except (ValueError, KeyError, TypeError) as error:
        found, values = {}, {"no JSON": str(error)}
    # Free memory changes from one call to the next; what is in use does not.
    same = [name for name, value in values.items()
            if any(re.fullmatch(rf"\s*{value} \S*\s+{re.escape(name)}", line) for line in text)]
    yield result("unmapped-info: JSON has what the text has",
                 {"SecretMem", "secretmem"} <= set(same) and len(same) >= len(values) - 2,
                 f"{values}\n" + "\n".join(text))
    yield result("unmapped-info: --help", said.get("--help", [])[-1:] == ["status 0"], str(said.get("--help")))
    yield result("unmapped-info: what is no option is refused",
                 all(said.get(how, [])[-1:] == ["status 1"] and expected in "\n".join(said[how])
                     for how, expected in (("--watch never", "not a number of seconds: never"), ("word", "--help"))),
                 str(said))
