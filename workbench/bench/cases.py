# SPDX-License-Identifier: GPL-2.0-only
"""What is measured. A consumer adds its cases here, a job in vm/jobs, and what
it wants to reach in goals.py; nothing else has to know about it.

A case is one VM that does one job, and what the job says are its figures. There
are three ways of measuring:

instructions: QEMU's -icount on one CPU, where the guest's clock counts them.
    Each case is run twice, and both runs have to say the same, to the last digit.
    That is so however busy the host is, so that two VMs run at once.
events: what the emulator can't price is counted by the kernel: flushes, calls
    between CPUs, splits, how often a lock is taken. Once.
wall: time, with a thread of the host for each CPU. What is compared takes turns
    (A B A B ...): kernels VM by VM, kinds within a VM.

With ACCEL=kvm a processor runs the VMs: see on_hardware().
"""

import dataclasses

KERNELS = {"base": "untouched", "plain": "patched"}
GROUPS = {
    "page": "Page level",
    "secret": "`memfd_secret`",
    "gmem": "guest_memfd",
    "text": "Kernel text",
    "dma": "DMA buffers",
    "map": "Direct map",
    "rest": "The rest of the system",
    "scaling": "Scaling",
    "hardware": "What only hardware shows",
}

# Without erms and fsrm, and with a model whose string instructions Linux trusts
# (AMD family 0x10, see early_init_amd()), so that clearing a page counts 512
# stores. Without rdrand and rdseed, which are the host's.
MODEL = "max,+svm,-erms,-fsrm,-rdrand,-rdseed,vendor=AuthenticAMD,family=16"

# All that would differ from run to run: where things are, the time of day, what
# is random, and when a thread of QEMU for devices gets to work. And no
# calibration of a timer that is then found not to work, for which the CPU would
# do nothing else during most of the boot.
FIXED = "nokaslr norandmaps noapictimer"
ICOUNT = ("-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-seed", "1",
          "-global", "virtio-serial-pci.ioeventfd=off")

HOW = {
    "instructions": {"extra": ICOUNT, "append": FIXED},
    "events": {},
    "wall": {"accel": "tcg,thread=multi"},
    "real": {},
}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    group: str
    title: str
    job: str
    args: tuple = ()
    how: str = "events"
    accel: str = ""             # of QEMU, if it is not the emulator
    quick: bool = False         # part of QUICK=1
    kernels: tuple = ("base", "plain")
    unit: str = "events"        # of figures for which the job gives none
    per: float = 1              # what figures are divided by
    memory: int = 1024          # MiB
    cpus: int = 1
    nodes: int = 1
    swap: int = 0               # MiB of a disk for it
    repeats: int = 1            # VMs for each kernel, taking turns
    timeout: int = 600
    allow: tuple = ()           # see console.py
    host_root: bool = False     # the VM may read the host's files, to run perf
    devices: tuple = ()         # more options of QEMU
    irqs: bool = False          # irqs.py looks at it from outside
    append: str = ""            # to the kernel's command line

    @property
    def runs(self):
        return 2 if self.how == "instructions" else self.repeats

    def machine(self):
        """What vm.run_job() is told."""
        options = {"memory": self.memory, "cpus": self.cpus, "model": MODEL,
                   "timeout": self.timeout, "allow": self.allow, "host_root": self.host_root,
                   **HOW[self.how]}
        options["append"] = f"{options.get('append', '')} {self.append}".strip()
        if self.accel:
            options.update(accel=self.accel, model="host")
        options["extra"] = (*options.get("extra", ()), *self.devices, *self.node_options())
        return options

    def node_options(self):
        """QEMU's options for nodes that share the memory and the CPUs evenly."""
        if self.nodes == 1:
            return ()
        options = ["-smp", f"{self.cpus},sockets={self.nodes}"]
        each = self.cpus // self.nodes
        for node in range(self.nodes):
            cpus = f"{node * each}-{node * each + each - 1}"
            size = self.memory // self.nodes
            options += ["-object", f"memory-backend-ram,id=m{node},size={size}M",
                        "-numa", f"node,memdev=m{node},cpus={cpus}"]
        return tuple(options)


def instructions(*words, unit="instructions/page", **more):
    return Case(*words, how="instructions", unit=unit, **more)


def population(name, group, title, programs, kib, *program, **more):
    """Programs that populate memory for the first time and give it back, while
    events are counted. What is reported is events for each GiB."""
    more = {"memory": 4096, "unit": "events/GiB", **more}
    return Case(name, group, title, "events", (str(programs), str(kib), *program),
                per=programs * kib / GIB, **more)


def perpage_wall(name, cpus, **more):
    """Less of what takes so long; a page of it does not get cheaper by that."""
    title = f"populating 32 MiB (the per-page way: 2 MiB), time, other CPUs busy ({cpus - 1})"
    return Case(name, "gmem", title, "wall-gmem", ("3", "unmapped:32768", "perpage:2048"),
                how="wall", unit="ticks/page", cpus=cpus, kernels=("plain",), **more)


GIB = 1 << 20   # in KiB, as the programs take it
SIZES = ("4", "64", "1024", "16384", str(GIB))
PROCESSES = ("1x8192", "2x8192", "4x8192", "8x8192")
SECRET = ("faults", "secret")

CASES = [
    instructions("pages", "page", "order 0 from a CPU's own list; folios freed in batches of 31",
                 "cost-pages", ("pages", "batches"), quick=True),
    instructions("orders", "page", "orders 0 to 9, warm and cold; bulk; the per-page way",
                 "cost-pages", ("orders", "perpage", "cold"), unit="instructions", quick=True),

    instructions("tags", "page", "memory allocation profiling, references in page extensions: off, and on (tagged-)",
                 "cost-tags", kernels=("plain",), append="sysctl.vm.mem_profiling=0", quick=True),
    instructions("tags-compressed", "page", "the same, references in the flags of pages",
                 "cost-tags", kernels=("plain",), append="sysctl.vm.mem_profiling=0,compressed"),

    instructions("faults", "secret", "first touch and close of 32 MiB, warm",
                 "cost-faults", quick=True),
    instructions("large", "secret", "first touch and close of 32 MiB with MADV_HUGEPAGE, cold, and once more",
                 "cost-large", quick=True),
    instructions("cold-page", "secret", "a page when nothing is ready, and once more",
                 "cost-faults", ("4",), memory=2048, quick=True),
    instructions("tail", "secret", "each of the first touches of 256 MiB, nothing ready",
                 "cost-touches", ("262144",), unit="instructions", memory=4096, quick=True),
    instructions("tail-1gib", "secret", "the same in less memory",
                 "cost-touches", ("262144",), unit="instructions"),
    Case("tail-8cpus", "secret", "each of the first touches of 1 MiB by 8 CPUs at once, nothing ready, time",
         "wall-touches", ("1024", "3"), how="wall", unit="ticks", cpus=8, repeats=3),
    instructions("irqs", "secret", "all that the allocator does: how long interrupts are off for it",
                 "irqs", kernels=("plain",), unit="instructions", allow=("oom",), irqs=True),
    instructions("singles", "secret", "first touch and close of 128 MiB when nothing but single pages is free",
                 "singles", ("131072",), quick=True),
    instructions("sizes", "secret", "4 KiB to 1 GiB (KiB in the name), cold, and once more",
                 "cost-faults", SIZES, memory=2048, timeout=900),
    instructions("processes", "secret",
                 "1 to 8 processes with 8 MiB each, on one CPU, cold, and once more",
                 "cost-faults", PROCESSES),
    population("secret-events", "secret", "1 GiB of first touches, 2 CPUs", 1, GIB, *SECRET,
               cpus=2, quick=True),
    Case("secret-wall", "secret", "first touch and close of 1 MiB, time, other CPUs busy (3)",
         "wall-faults", ("1024", "2"), how="wall", unit="ticks/page", cpus=4, repeats=3),

    instructions("gmem", "gmem", "populating 32 MiB, on one CPU; the untouched kernel has no flag",
                 "cost-gmem", ("32768", "mapped", "unmapped", "perpage"), quick=True),
    instructions("gmem-large", "gmem", "populating 1 GiB, on one CPU", "cost-gmem",
                 (str(GIB), "mapped", "unmapped"), kernels=("plain",), memory=4096, timeout=1200),
    population("gmem-events", "gmem", "populating 1 GiB, 2 CPUs, flag on", 1, GIB,
               "gmem", "unmapped", "fault", kernels=("plain",), cpus=2, quick=True),
    population("gmem-large-events", "gmem", "populating 1 GiB by fallocate(), 2 CPUs, flag on", 1, GIB,
               "gmem", "unmapped", "fallocate-fault", kernels=("plain",), cpus=2),
    population("gmem-mapped-events", "gmem", "populating 1 GiB, 2 CPUs, flag off", 1, GIB,
               "gmem", "mapped", "fault", cpus=2),
    population("gmem-perpage-events", "gmem", "populating 128 MiB, 2 CPUs, the per-page way",
               1, GIB // 8, "gmem", "perpage", "fault", cpus=2),
    instructions("punched", "gmem",
                 "1 GiB of which a guest keeps one page in 8: punching, and what a program gets of the rest",
                 "punched", (str(GIB), "mapped", "folios", "singles"), kernels=("plain",), memory=3072,
                 allow=("oom",)),
    *(Case(f"punched-{kind}-swap", "gmem", f"the same with 1 GiB of swap, {kind}",
           "punched", (str(GIB), kind), kernels=("plain",), memory=3072, swap=1024, allow=("oom",))
      for kind in ("mapped", "folios", "singles")),
    Case("punched-wall", "gmem", "punching 7 pages in 8 of 256 MiB, time, other CPUs busy (3)", "wall-punched",
         ("5", "262144"), how="wall", unit="ticks/page", cpus=4, kernels=("plain",)),
    Case("gmem-wall", "gmem", "populating 64 MiB, time, other CPUs busy (3)", "wall-gmem",
         ("9", "mapped:65536", "unmapped:65536"), how="wall", unit="ticks/page", cpus=4,
         kernels=("plain",), quick=True),
    perpage_wall("gmem-perpage-wall", 4, quick=True),
    perpage_wall("gmem-perpage-wall-2", 2),

    instructions("text", "text", "load and unload of a module with 16 KiB of text: the first one since boot, "
                 "then while another one is loaded; of a BPF program with 64 instructions",
                 "cost-text", ("16", "32"), unit="instructions", quick=True),
    Case("text-flushes", "text", "the same: flushes", "cost-text", ("16", "32", "flushes"), quick=True),

    instructions("dma", "dma", "buffers without a kernel mapping, and others, warm (KiB in the name)",
                 "cost-pages", ("dma",), unit="instructions", quick=True),
    instructions("dma-iommu", "dma", "the same behind an IOMMU",
                 "cost-pages", ("dma",), unit="instructions", quick=True,
                 devices=("-device", "intel-iommu,aw-bits=48")),

    instructions("life", "map", "8 programs with 16 MiB of secrets each come, take turns, and go",
                 "life", ("8", "16"), allow=("oom",), quick=True),
    instructions("life-3gib", "map", "the same in memory of which 1 GiB has a single entry",
                 "life", ("8", "16"), memory=3072, allow=("oom",)),
    instructions("life-fragmented", "map", "the same in memory without a free 2 MiB in one piece",
                 "life", ("8", "16", "fragmented"), memory=3072, allow=("oom",)),

    instructions("rest", "rest",
                 "fork, exec, page faults; and while 64 MiB of secrets are kept (used-)",
                 "cost-rest", unit="instructions", quick=True),
    instructions("near", "rest", "the free of a page in 2 MiB of which a fragment is unmapped",
                 "cost-pages", ("near",)),

    population("scale-1cpu", "scaling", "1 CPU, a program, 1 GiB", 1, GIB, *SECRET),
    population("scale-2cpus", "scaling", "2 CPUs, as many programs, 1 GiB in sum",
               2, GIB // 2, *SECRET, cpus=2),
    population("scale-4cpus", "scaling", "4 CPUs, as many programs, 1 GiB in sum",
               4, GIB // 4, *SECRET, cpus=4),
    population("scale-8cpus", "scaling", "8 CPUs, as many programs, 1 GiB in sum",
               8, GIB // 8, *SECRET, cpus=8),
    population("scale-2nodes", "scaling", "2 nodes, 4 CPUs and programs, 1 GiB in sum",
               4, GIB // 4, *SECRET, cpus=4, nodes=2),
    population("scale-1gib", "scaling", "1 GiB of memory, 4 CPUs and programs, 512 MiB in sum",
               4, GIB // 8, *SECRET, cpus=4, memory=1024),
    population("scale-16gib", "scaling", "16 GiB of memory, 4 CPUs and programs, 1 GiB in sum",
               4, GIB // 4, *SECRET, cpus=4, memory=16384),
]

# What the emulator knows nothing of.
HARDWARE = [
    Case("ipi", "hardware", "a call to another CPU, to all of them; a flush of a page of the kernel's",
         "cost-pages", ("ipi",), how="real", unit="ns", cpus=4, repeats=3),
    Case("tlb", "hardware", "reading 512 MiB of page cache, after 1 GiB of secrets came and went",
         "tlb-misses", ("524288", str(GIB), "dTLB-loads", "dTLB-load-misses", "iTLB-load-misses"),
         how="real", cpus=2, memory=4096, repeats=3, host_root=True),
]


def on_hardware(case):
    """The same work where a processor does it: instructions and ratios of the
    emulator's time become ticks of its time stamp counter, of three VMs for each
    kernel that take turns; events remain what they are."""
    if case.how == "events":
        return dataclasses.replace(case, accel="kvm")
    return dataclasses.replace(case, how="real", accel="kvm", repeats=max(case.repeats, 3),
                               unit=case.unit.replace("instructions", "ticks"))


def available(accel):
    """All cases that there are, in the emulator or on hardware."""
    if accel != "kvm":
        return CASES
    # A processor's instructions can't be watched from outside.
    return [on_hardware(case) for case in CASES + HARDWARE if not case.irqs]


BY_NAME = {case.name: case for case in CASES + HARDWARE}
