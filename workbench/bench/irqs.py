# SPDX-License-Identifier: GPL-2.0-only
"""For how long interrupts are off in the allocator, by a plugin of QEMU's that
counts instructions (irqs.c): what to tell it, and what it tells."""

import subprocess


def output(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def functions(symbols, exported):
    """The allocator's functions in a kernel: lines "START SIZE NAME".
    symbols: what readelf says of vmlinux, where a file's local symbols come after
    its name; exported: the names of the other ones."""
    file, lines = "", []
    for words in map(str.split, symbols.splitlines()):
        if len(words) < 8 or not words[0].endswith(":"):
            continue
        _, start, size, kind, bind, _, _, name, *_ = words
        if kind == "FILE":
            file = name
        ours = file.startswith("unmapped-") if bind == "LOCAL" else name in exported
        if kind == "FUNC" and ours:
            lines.append(f"{start} {int(size, 0):x} {name}")
    return lines


def options(image, name):
    """QEMU's, for a VM of this name with the kernel that was built in this folder."""
    exported = output("nm", "--defined-only", "--format=just-symbols", "--extern-only",
                      *sorted(image.glob("mm/unmapped-*.o"))).split()
    lines = functions(output("readelf", "-sW", image / "vmlinux"), set(exported))
    files = image / "bench" / name
    files.with_suffix(".functions").write_text("".join(line + "\n" for line in lines))
    files.with_suffix(".irqs").unlink(missing_ok=True)
    return ("-plugin", f"{image}/bench/irqs.so,functions={files}.functions,out={files}.irqs")


def said(image, name):
    """Figures, as a job says them: the most of all, and of each function."""
    most = {}
    for line in (image / "bench" / f"{name}.irqs").read_text().splitlines():
        name, instructions, _times = line.split()
        # What the compiler makes of a function is still that function.
        name = name.split(".")[0]
        most[name] = max(most.get(name, 0), int(instructions))
    if not most:
        return []
    return [f"irqs-off {max(most.values())}",
            *(f"irqs-off-{name} {value}" for name, value in sorted(most.items()))]
