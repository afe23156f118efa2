# SPDX-License-Identifier: GPL-2.0-only
"""Where things are, and calling what is there."""

import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent
LINUX = TOP / "build" / "linux"
LOGS = TOP / "build" / "log"


def command(*words, **options):
    """Run a command; returns (worked, output)."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", stdin=subprocess.DEVNULL, check=False, **options)
    return done.returncode == 0, done.stdout


def git_linux(*words):
    return command("git", "-C", LINUX, *words)[1].strip()
