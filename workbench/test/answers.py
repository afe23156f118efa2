# SPDX-License-Identifier: GPL-2.0-only
"""What memfd_secret(2) answers to user space, compared with the untouched kernel."""

import pathlib

from .suite import result

# The untouched kernel's answers. They are a file, so that 'make test' builds one
# kernel only; 'make test VARIANT=base CASE=answers' compares that kernel with it.
UNTOUCHED = pathlib.Path(__file__).with_suffix(".txt")

# What may differ: the question, the patched kernel's answer, the reason.
FAULT_AROUND = ("a read fault also maps the pages around it that are in the page cache, as that of other files does: "
                "'mm/secretmem: handle page faults under the VMA lock'")
DIFFERENCES = [
    ("write from of a read-only mapping", "64; mapped 1111, resident 1111, locked 0 kB, data 1234", FAULT_AROUND),
    ("sendto of a read-only mapping", "1024; mapped 1111, resident 1111, locked 0 kB, data 1234", FAULT_AROUND),
    ("futex FUTEX_WAIT_PRIVATE of a read-only mapping",
     "ETIMEDOUT; mapped 1111, resident 1111, locked 0 kB, data 1234", FAULT_AROUND),
    ("read of one page of a second mapping", "1", FAULT_AROUND),
    ("/proc/kpageflags of a page by its address", "134219800",
     "KPF_NO_DIRECT_MAP is a new flag: 'proc: add page flags for memory without a direct map'"),
]

# A disk for direct I/O.
DISK = ("-blockdev", "null-co,node-name=disk,size=1048576,read-zeroes=on", "-device", "virtio-blk-pci,drive=disk")


def parse(lines):
    """The answer to each question."""
    return dict(line.partition(": ")[::2] for line in lines)


def compare(untouched, now, differences):
    """What is wrong with a kernel's answers, a line for each."""
    allowed = {question: answer for question, answer, _reason in differences}
    wrong = [f"{question}: not asked" for question in (untouched | allowed) if question not in now]
    for question, answer in now.items():
        before = untouched.get(question, "not asked")
        if answer != allowed.get(question, before):
            wrong.append(f"{question}: {before} -> {answer}")
        elif question in allowed and answer == before:
            wrong.append(f"{question}: no difference, but listed as one")
    return wrong


def group_answers(suite):
    """what memfd_secret(2) answers to each call, compared with the untouched kernel"""
    machine = suite.boot("answers", "answers", timeout=120, extra=DISK)
    lines = machine.results["answers"]
    said = machine.dir / "answers"
    said.write_text("\n".join(lines) + "\n")
    now = parse(lines)
    differences = [] if suite.variant == "base" else DIFFERENCES
    wrong = compare(parse(UNTOUCHED.read_text().splitlines()), now, differences)
    if wrong and suite.variant == "base":
        wrong.append(f"if these are the answers to expect: cp {said} {UNTOUCHED}")
    yield result(f"{len(now)} questions, none of them twice", 0 < len(now) == len(lines))
    yield result(f"the answers are the untouched kernel's, but for {len(differences)} with a reason", not wrong,
                 "\n".join(wrong))
