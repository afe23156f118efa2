# SPDX-License-Identifier: GPL-2.0-only
"""What the scripts refuse, and that they lose nothing then."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import mutate
from common import LINUX, TOP, command

from .suite import check, result


def group_series(_suite):
    """the series: patches/ is what refresh writes; bad input is refused"""
    yield check("refresh is a no-op", TOP / "workbench/bin/refresh", "--check")
    stale = mutate.stale()
    yield result("what mutations take out is in the code", not stale, "\n".join(stale))
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / "copy"
        shutil.copytree(TOP, copy, symlinks=True, ignore=shutil.ignore_patterns("build", ".git"))
        (copy / "build").mkdir()
        linux = copy / "build/linux"
        command("git", "clone", "-q", "--shared", "--no-checkout", LINUX, linux)
        command("git", "-C", linux, "sparse-checkout", "set", "mm")
        command("git", "-C", linux, "checkout", "-q", "main")
        command("git", "-C", linux, "update-ref", "refs/workbench/assembled", "HEAD")
        yield applies(copy, linux)
        yield from refusals(copy, linux)


def applies(copy, linux):
    """README's command applies the mails of all series to the untouched kernel; what comes out is this one."""
    name = "README's command applies the series"
    line = re.search(r"^ +make series\n +(git -C YOUR_TREE am .*)$", (copy / "README.md").read_text(), re.M)
    good, output = command(copy / "workbench/bin/series")
    if not line or not good:
        return result(name, False, output)
    yours = copy.parent / "yours"
    command("git", "clone", "-q", "--shared", "--no-checkout", linux, yours)
    # Only the files of the series, for speed; the others are in the index.
    files = command("git", "-C", linux, "diff", "--name-only", "base", "HEAD")[1].splitlines()
    command("git", "-C", yours, "sparse-checkout", "set", "--no-cone", *[f"/{file}" for file in files])
    command("git", "-C", yours, "checkout", "-q", "--detach", "base")
    identity = {**os.environ, "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t.invalid"}
    good, output = command("bash", "-c", line[1].replace("YOUR_TREE", str(yours)), cwd=copy, env=identity)
    trees = {command("git", "-C", tree, "rev-parse", "HEAD^{tree}")[1] for tree in (linux, yours)}
    return result(name, good and len(trees) == 1, output)


def refusals(copy, linux):
    """What tree and refresh refuse to do, in a copy of the repository."""
    tree, refresh = copy / "workbench/bin/tree", copy / "workbench/bin/refresh"
    head = command("git", "-C", linux, "rev-parse", "HEAD")[1]

    def refused(name, script, *words):
        good, output = command(script)
        kept = command("git", "-C", linux, "rev-parse", "HEAD")[1] == head
        return result(name, not good and kept and all(word in output for word in words), output)

    last = next(p for p in sorted((copy / "patches").glob("*.patch")) if "unevictable-lru" in p.read_text())
    text = last.read_text()
    last.write_text(re.sub(r"(?m)^ (\s*unevictable-lru)$", r" \1-not", text))
    yield refused("a patch that does not apply stops tree, and is named", tree, last.name)
    last.write_text(text)

    extra = copy / "mm/unmapped-orphan.c"
    extra.write_text("/* no patch introduces this */\n")
    yield refused("a new file without a patch stops tree, and is named", tree, "mm/unmapped-orphan.c")
    extra.unlink()

    edited = linux / "mm/secretmem.c"
    edited.write_text(edited.read_text() + "\n/* unsaved */\n")
    yield refused("refresh refuses uncommitted edits", refresh, "not committed")
    yield refused("clean refuses uncommitted edits", copy / "workbench/bin/clean", "not committed")
    yield result("the edits are still there", "unsaved" in edited.read_text())

    command("git", "-C", linux, "-c", "user.name=t", "-c", "user.email=t@t.invalid",
            "commit", "-qam", "mm: edit\n\nA reason.")
    head = command("git", "-C", linux, "rev-parse", "HEAD")[1]
    (copy / "mm/unmapped-clear.c").write_text("/* changed */\n")
    yield refused("tree refuses to drop commits that are not in patches/", tree, "refresh")


def group_input(_suite):
    """bad input is refused with words that help; an interrupt ends a step"""
    def refused(name, *words, say, **options):
        good, output = command(*words, cwd=options.pop("cwd", TOP), **options)
        return result(name, not good and all(text in output for text in say), output)

    yield refused("an unknown parameter", "make", "FOO=1", "run", say=["FOO", "VARIANT"])
    yield refused("an unknown variant", "make", "VARIANT=no", "test", say=["'no'", "plain debug"])
    yield refused("a size that is no number", "make", "SIZE=1k", "run", say=["SIZE=1k"])
    yield refused("an unknown target", "make", "no-such", say=["no-such", "'make' lists"])
    yield refused("packages of a kernel for tests", "make", "VARIANT=debug", "deb", say=["VARIANT=debug", "plain base"])
    yield refused("debug symbols, or not?", "make", "DEBUG=yes", "deb", say=["DEBUG=yes", "0 nor 1"])
    yield refused("a disk, or not?", "make", "DISK=yes", "vm", say=["DISK=yes", "0 nor 1"])
    yield refused("a configuration that is not there", "make", "CONFIG=/no", "deb", say=["CONFIG=/no does not exist"])
    yield refused("a configuration that is a folder", "make", "CONFIG=mm", "deb", say=["CONFIG=mm is no file"])
    yield refused("a configuration that is none", "make", "CONFIG=README.md", "deb",
                  say=["CONFIG=README.md is no configuration", "/boot/config-"])
    yield refused("a configuration of another architecture", "make", "CONFIG=workbench/config/powerpc.config", "deb",
                  say=["powerpc.config is for another architecture"])
    yield refused("an unknown kernel for others' programs", "workbench/others.py", "no", say=["'no'", "plain"])
    yield refused("an unknown group of tests", "workbench/test.py", "no", say=["no", "kselftest"])

    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        copy = pathlib.Path(scratch) / "copy"
        shutil.copytree(TOP, copy, symlinks=True, ignore=shutil.ignore_patterns("build", ".git"))
        (copy / "build").mkdir()
        fetch = copy / "workbench/bin/fetch"
        yield refused("KERNEL_SRC that is not there", fetch, env={**os.environ, "KERNEL_SRC": "/no"},
                      say=["KERNEL_SRC=/no does not exist"])
        (copy / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\nNAME = x\n")
        yield refused("KERNEL_SRC of another series", fetch, env={**os.environ, "KERNEL_SRC": str(copy)},
                      say=["Linux 6.1.0", "needs 7.3.y"])
        yield missing_packages(copy)
        yield missing_option(copy)
        yield refused("a disk before there is a package", copy / "workbench/bin/disk", "base",
                      say=["no package in build/deb/base", "make deb VARIANT=base"])
        yield refused("a page about others before they ran", copy / "workbench/others.py", say=["nothing has been run"])
        yield from packages(copy)
        yield two_builds(copy)
        yield interrupted(copy)


def missing_packages(copy):
    fake = copy / "fake"
    fake.mkdir()
    (fake / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (fake / "dpkg-query").chmod(0o755)
    good, output = command("setpriv", "--reuid=65534", "--clear-groups", copy / "workbench/bin/deps",
                           env={**os.environ, "PATH": f"{fake}:{os.environ['PATH']}"})
    return result("packages are missing, and no root", not good and
                  "apt-get install -y --no-install-recommends" in output and "qemu-system-x86" in output, output)


def missing_option(copy):
    (copy / "build/linux").symlink_to(LINUX)
    fragment = copy / "workbench/config/unmapped.config"
    fragment.write_text(fragment.read_text() + "CONFIG_NO_SUCH_OPTION=y\n")
    good, output = command(copy / "workbench/bin/kernel", "plain", "kernelversion")
    return result("an option that is missing in the end", not good and
                  "CONFIG_NO_SUCH_OPTION=y" in output, output)


def packages(copy):
    """bin/deb, with a kernel that is not built: when it is, and what is kept."""
    kernel = copy / "workbench/bin/kernel"
    original = kernel.read_text()
    kernel.write_text("""#!/bin/sh
out=$(dirname "$0")/../../build/deb/base
mkdir -p "$out/obj/include/config"
echo 7.3.4-base >"$out/obj/include/config/kernel.release"
touch "$out/linux-image-7.3.4-base_1_amd64.deb" "$out/linux-libc-dev_1_amd64.deb"
echo "$*" >>"$out/built"
""")
    deb, out = copy / "workbench/bin/deb", copy / "build/deb/base"

    def built():
        good, output = command(deb, "base")
        return good, output, (out / "built").read_text().splitlines()

    good, output, calls = built()
    yield result("packages are built, and how to install them is said", good and
                 calls == ["deb-base bindeb-pkg"] and "build/deb/base/linux-image-7.3.4-base_*.deb" in output, output)
    yield result("the distributor's headers for programs stay", not (out / "linux-libc-dev_1_amd64.deb").exists())
    yield result("packages are kept when nothing changed", len(built()[2]) == 1)
    fragment = copy / "workbench/config/debian.config"
    fragment.write_text(fragment.read_text() + "# changed\n")
    yield result("packages are built again when an option changed", len(built()[2]) == 2)
    kernel.write_text(original)


def two_builds(copy):
    good, output = command("flock", copy / "build/.lock", copy / "workbench/bin/kernel", "plain")
    return result("two builds at a time", not good and "something else is being built" in output, output)


def interrupted(copy):
    script = 'STAGE=t; . workbench/lib.sh; logged nap sleep 4711'
    step = subprocess.Popen(["bash", "-c", script, "t"], cwd=copy, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    while not (copy / "build/log/nap.log").exists():
        time.sleep(0.1)
    step.terminate()
    step.wait(timeout=30)
    left = command("flock", "-w", "5", copy / "build/.lock", "true")[0]
    return result("an interrupt ends a step and all that it started", step.returncode != 0 and left)
