# SPDX-License-Identifier: GPL-2.0-only
"""What user space sees: its headers, kselftest's install and clean, what kunit.py is given."""

import os
import pathlib
import re
import shutil

from .item import LINUX, TOP, Broken, Outcome, git_linux, logged, new_files, touched_files

SELFTESTS = "tools/testing/selftests"


def uapi(complete=True):
    """headers of user space: lines are only added; check-uapi.sh, if there is an abidiff that it takes"""
    files = touched_files(".h")
    files = [file for file in files if "/uapi/" in file]
    findings = []
    for file in files:
        removed = re.findall(r"^-(?!--)(.*)$", git_linux("diff", "-U0", "base", "HEAD", "--", file), re.M)
        findings += [f"{file}: removes '{line.strip()}'" for line in removed]
    # Debian 12 has 2.2, and the script wants 2.4. It compares types: what the
    # series adds, a constant, it would not see.
    output = logged("uapi", "scripts/check-uapi.sh", "-b", "HEAD", "-p", "base", cwd=LINUX, may_fail=True)
    if "abidiff not found" in output or "abidiff version too old" in output:
        return Outcome(findings, len(files), "headers, without check-uapi.sh, for want of an abidiff")
    if not re.search(r"^All \d+ UAPI headers .*compatible", output, re.M):
        findings += [f"check-uapi.sh: {line.strip()}" for line in output.splitlines() if line.strip()]
    return Outcome(findings, len(files), "headers")


def kunitconfig(complete=True):
    """kunit.py config takes the series' .kunitconfig, and all of it is in the configuration"""
    files = new_files("/.kunitconfig")
    for file in files:
        folder = TOP / "build/check-kunit"
        shutil.rmtree(folder, ignore_errors=True)
        logged("kunitconfig", "tools/testing/kunit/kunit.py", "config", "--arch=x86_64",
               f"--kunitconfig={pathlib.Path(file).parent}", f"--build_dir={folder}", cwd=LINUX,
               env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        config = (folder / ".config").read_text().splitlines()
        missing = [line for line in (LINUX / file).read_text().split() if line.startswith("CONFIG_") and line not in config]
        if missing:
            raise Broken(f"{file}: {' '.join(missing)} did not get into the configuration")
    return Outcome([], len(files), "configurations")


def kselftest(complete=True):
    """kselftest: mm's tests install, ours among them; clean removes them; git ignores the programs"""
    out, where = TOP / "build/check-selftests", TOP / "build/check-selftests-installed"
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(where, ignore_errors=True)
    headers = TOP / "build/x86_64/usr/include"
    out.mkdir(parents=True)

    def make(log, target):
        script = '. workbench/lib.sh; kmake -C "$LINUX/tools/testing/selftests" TARGETS=mm CC=gcc "$@"'
        logged(log, "bash", "-c", script, "make", f"O={out}", f"INSTALL_PATH={where}",
               f"KHDR_INCLUDES=-isystem {headers}", target, cwd=TOP)

    make("kselftest", "install")
    programs = [file for file in new_files(".c", ".sh") if file.startswith(f"{SELFTESTS}/")]
    findings = []
    for file in programs:
        name = pathlib.Path(file).stem if file.endswith(".c") else pathlib.Path(file).name
        if f"{SELFTESTS}/mm/" in file and not (where / "mm" / name).exists():
            findings.append(f"{file}: not installed")
        if file.endswith(".c") and not git_linux("check-ignore", "--no-index", file[:-2]):
            findings.append(f"{file}: git does not ignore its program")
    make("kselftest-clean", "clean")
    left = [path.name for path in out.rglob("*") if path.is_file() and os.access(path, os.X_OK)
            and path.stem in {pathlib.Path(file).stem for file in programs}]
    findings += [f"{name}: clean leaves it" for name in left]
    findings += [f"{line[3:]}: left in the tree" for line in git_linux("status", "--porcelain", SELFTESTS).splitlines()]
    return Outcome(findings, len(programs), "programs")
