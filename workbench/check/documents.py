# SPDX-License-Identifier: GPL-2.0-only
"""The documents: they build without warnings, stand in an index, and name files that exist."""

import re
import shutil

from .item import LINUX, TOP, Broken, Outcome, git_linux, logged, new_files, touched_files

SCRIPT = '. workbench/lib.sh; kmake -C "$LINUX" O="$BUILD/check-docs" "$@"'


def htmldocs(complete=True):
    """make htmldocs: no warning about what the series adds to documents, or in its new files"""
    files = touched_files(".rst")
    # Sphinx says nothing about a document that it has built before.
    shutil.rmtree(TOP / "build/check-docs", ignore_errors=True)
    folders = sorted({file.split("/", 1)[1].rpartition("/")[0] for file in files})
    output = logged("htmldocs", "bash", "-c", SCRIPT, "htmldocs", f"SPHINXDIRS={' '.join(folders)}", "htmldocs", cwd=TOP)
    pages = [TOP / "build/check-docs/Documentation/output" / (file.split("/", 1)[1][:-3] + "html") for file in files]
    missing = [str(page) for page in pages if not list(page.parent.parent.rglob(page.name))]
    if missing:
        raise Broken(f"not built: {' '.join(missing)}")
    # Labels of folders that are not built are unknown in all of the kernel's
    # documents; it counts what is at the series' own lines.
    lines = re.findall(r"^\S*?/((?:Documentation|include|mm|virt|arch)/[^:\s]+):(\d+)?:? ?(?:WARNING|ERROR|[Ww]arning|CRITICAL|SEVERE): (.*)$",
                       output, re.M)
    findings = [f"{file}: {text}" for file, line, text in lines if adds(file, int(line or 0))]
    return Outcome(sorted(set(findings)), len(files), "documents")


def adds(file, line):
    """Is this line, or one of its neighbours, the series'?"""
    if file in new_files():
        return True
    if file not in touched_files():
        return False
    hunks = re.findall(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", git_linux("diff", "-U0", "base", "HEAD", "--", file), re.M)
    return any(int(start) - 1 <= line <= int(start) + int(count or 1) for start, count in hunks)


def references(complete=True):
    """make refcheckdocs: files that are named exist"""
    files = touched_files()
    output = logged("references", "tools/docs/documentation-file-ref-check", cwd=LINUX, may_fail=True)
    named = [(file, name) for file, name in re.findall(r"^(\S+): (.+)$", output, re.M)
             if file in files]
    added = {file: git_linux("diff", "-U0", "base", "HEAD", "--", file) for file in {file for file, _ in named}}
    findings = {f"{file}: {name}" for file, name in named if re.search(rf"^\+.*{re.escape(name)}", added[file], re.M)}
    return Outcome(sorted(findings), len(files), "files")
