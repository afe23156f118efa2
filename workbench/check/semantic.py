# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's semantic patches."""

import os
import pathlib
import re
import shutil
import tempfile

from .item import LINUX, Broken, Outcome, at, base_files, command, introduced, keep_log, kernel_files


def semantic_patches():
    """Those that report something. Some are written in OCaml, and want its compiler."""
    texts = {path: path.read_text() for path in sorted((LINUX / "scripts/coccinelle").rglob("*.cocci"))}
    return [path for path, text in texts.items() if "virtual report" in text and ":ocaml" not in text]


def report(name, tree, files):
    """coccicheck over copies of these files: given a folder, it reads each file once for each
    semantic patch, and given one file at a time it takes ten times as long."""
    output, patches = "", semantic_patches()
    with tempfile.TemporaryDirectory(prefix="coccicheck-") as scratch:
        for file in files:
            path = pathlib.Path(scratch) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(pathlib.Path(tree) / file, path)
        for number, patch in enumerate(patches, 1):
            at[0] = f"{name}: {number} of {len(patches)}, {patch.name}"
            # What make coccicheck passes, without what would read all headers of the kernel.
            good, said = command("bash", LINUX / "scripts/coccicheck", cwd=scratch,
                                 env={**os.environ, "MODE": "report", "COCCI": str(patch), "srctree": str(LINUX),
                                      "srcroot": scratch, "LINUXINCLUDE": f"-I {LINUX}/include", "DEBUG_FILE": "/dev/null"})
            output += said
            if not good or f"--cocci-file {patch}" not in said:
                raise Broken(f"coccicheck with {patch.name} failed:\n{said[-1500:]}")
        keep_log(name, output)
        lines = re.findall(rf"^(?:{re.escape(scratch)}/)?(\S+?\.[ch]):\d+(?::\d+-\d+|-\d+)?:? (.*)$", output, re.M)
    # Where else it looked: "on line 12".
    return sorted({f"{file}: {re.sub('[0-9]+', 'N', text)}" for file, text in lines}), len(patches)


def coccicheck(complete=True):
    """coccicheck MODE=report"""
    files = kernel_files(".c", ".h")
    head, patches = report("coccicheck", LINUX, files)
    if not patches:
        raise Broken("there is no semantic patch")
    old = [file for file in files if (pathlib.Path(base_files().name) / file).exists()]
    base, _ = report("coccicheck-base", base_files().name, old)
    return Outcome(introduced(head, base), len(files), f"files, by {patches} semantic patches")
