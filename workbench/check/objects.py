# SPDX-License-Identifier: GPL-2.0-only
"""What is in the objects: stack frames, and what those pay who do not use it."""

import re

from .compiled import CONFIGURATIONS, folder, in_image, kernel
from .item import LINUX, Broken, Outcome, command, compiled_files, keep_log, logged, new_files, object_of

# Bytes; a quarter of what the kernel warns about.
STACK = 512


def frames(variant, sources):
    """The stack frames of these sources' functions."""
    found, text = {}, ""
    for source in sources:
        path = folder(variant) / object_of(source)
        good, output = command("bash", "-c", 'objdump -d "$1" | scripts/checkstack.pl x86_64 1', "stack", path, cwd=LINUX)
        lines = re.findall(r"^0x[0-9a-f]+ (\S+) .*?:\s*(?:Dynamic \()?(\d+)", output, re.M)
        if not good or not path.exists():
            raise Broken(f"{path}: {output}")
        text += f"{source}:\n{output}"
        found.update({(source, name): int(size) for name, size in lines})
    keep_log(f"checkstack-{variant}", text)
    return found


def checkstack(complete=True):
    """no function of the series has a large stack frame, and none got one"""
    head, base = {}, {}
    for variant, untouched, there in CONFIGURATIONS:
        sources = in_image(there)
        edited = [source for source in sources if source not in new_files()]
        # W=1 as in the check before, so that nothing is compiled again.
        kernel(f"checkstack-{variant}-build", variant, "W=1", *map(object_of, sources))
        kernel(f"checkstack-{untouched}-build", untouched, "W=1", *map(object_of, edited))
        head.update(frames(variant, sources))
        base.update(frames(untouched, edited))
    findings = [f"{source}: {name} has more than {STACK} bytes"
                for (source, name), size in sorted(head.items())
                if size > max(STACK, base.get((source, name), 0))]
    return Outcome(findings, len(head), "functions")


def bloat(complete=True):
    """switched off, the series adds to no function without a reason (bloat-o-meter, next to the untouched kernel)"""
    old = [source for source in in_image(True) if source not in new_files()]
    # Objects that only the feature has are not there then.
    kernel("bloat-off-build", "off", *map(object_of, old))
    kernel("bloat-base-build", "base", "W=1", *map(object_of, old))
    findings = []
    for source in old:
        output = logged(f"bloat-{source.replace('/', '-')}", "scripts/bloat-o-meter", folder("base") / object_of(source),
                        folder("off") / object_of(source), cwd=LINUX)
        if "Total: Before=" not in output:
            raise Broken(f"bloat-o-meter did not compare {source}:\n{output}")
        # Names that are numbered are never the same.
        findings += [f"{source}: {name} grows" for name in
                     re.findall(r"^(?!__UNIQUE_ID_)(\S+) +(?:\d+|-) +(?:\d+|-) +\+\d+$", output, re.M)]
    return Outcome(findings, len(old), "objects")
