#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Run others' programs on a Debian machine with our kernel, or the untouched
one, and write what became of them to OTHERS.md: disk/others is what runs there."""

import argparse
import datetime
import json
import re
import sys

import console
import vm
from common import TOP, command
from test.machines import KVM_TSC

PAGE = TOP / "OTHERS.md"
RESULTS = TOP / "build" / "others"
KERNELS = {"base": "untouched", "plain": "with the series"}
# The exit status of a kselftest that has nothing to test, and those of timeout(1).
SKIPPED, TIMED_OUT = 4, (124, 137)
# What disk/others runs, each on a machine of its own: memory in MiB, and how
# often a kernel is started there. Where KVM is used: see KVM_TSC, and why there
# is one CPU in group_guest().
MACHINES = {"short": {"memory": 3072}, "text": {"memory": 2048}, "virtual": {"memory": 3072},
            "watched": {"memory": 2048}, "tools": {"memory": 2048}, "random": {"memory": 2048},
            "guest": {"memory": 2048, "cpus": 1, "words": KVM_TSC},
            "hibernate": {"memory": 1024, "starts": 2},
            "crash": {"memory": 1024, "starts": 3, "words": "crashkernel=320M", "allow": ("oom", "crash")}}
# What a test does not pass with one kernel or both, and why.
EXPLAINED = {
    "criu check": "fails on both: Debian 12's criu 3.17.1 does not know the vDSO of Linux 7.3, which it reads before anything else.",
    "kdump-tools: marks in the dump of a crashed kernel":
        "Debian 12's makedumpfile 1.7.2 does not know Linux 7.3 (\"The kernel version is not supported\"), and leaves in "
        "the dump some of what it is asked to leave out, at random: 0 to 751 pages of secrets were seen with the untouched "
        "kernel, 0 to 31 with the series, and as many ordinary ones.",
    "kselftest: module": "fails on both: it times kallsyms with modules of CONFIG_TEST_KALLSYMS, which this configuration lacks.",
    "kselftest: ftrace": "the same tests fail, and the same can't be decided, on both.",
}

HEAD = """# Others' programs on this kernel

What programs that are not of this project do on a Debian machine with the series, and on the same machine with the untouched
kernel. Both kernels have the same options, and are installed from their packages (`make deb`). `make others` and `make others
BASE=1` run them again and write this page. The kernel panics at a warning; the machine is emulated (TCG).

"""


def boot(series, what, memory, cpus=2, starts=1, words=""):
    """What disk/others calls by this name, in a VM. What was seen counts even if
    the machine then died. Returns the machine, and what is wrong with it."""
    image = TOP / "build" / "disk" / series
    machine = vm.Machine(image, f"others-{series}-{what}", memory, cpus, initramfs="initrd.img", may_reboot=starts > 1,
                         append=f"others={what} systemd.wants=others.service {vm.DISK_WORDS} {words}",
                         extra=vm.disks(image, keep=False), has_guests=what in ("guest", "virtual"))
    error = ""
    try:
        machine.run(3600, echo=lambda line: print(line, flush=True))
    except vm.VMError as caught:
        error = f"{what}: {caught}"
    return machine, error


def run_one(series, what):
    """What one machine did; its end is an error, too, if it came too early."""
    options = dict(MACHINES[what])
    allow, expected = options.pop("allow", ("oom",)), options.get("starts", 1)
    machine, error = boot(series, what, **options)
    said = machine.console()
    starts = said.count("Linux version ")
    if starts != expected and not error:
        error = f"{what}: the kernel was started {starts} times instead of {expected}"
    release = re.search(r"Linux version (\S+)", said)
    return {"release": release.group(1) if release else "unknown", "error": error,
            "complaints": console.splats(said, allow)[:10], "results": machine.results}


def run(series, names):
    """On one kernel; returns what is wrong, if anything. What others of these
    machines have done before is kept."""
    path = RESULTS / f"{series}.json"
    commit = command("git", "-C", TOP, "describe", "--always")[1].strip()
    # This page is written after each machine.
    if not command("git", "-C", TOP, "diff", "--quiet", "HEAD", "--", ".", f":!{PAGE.name}")[0]:
        commit += "-dirty"
    machines = json.loads(path.read_text()) if path.exists() else {}
    RESULTS.mkdir(parents=True, exist_ok=True)
    wrong = []
    for name in names:
        one = run_one(series, name)
        machines[name] = one = {"commit": commit, "date": datetime.date.today().isoformat(), **one}
        path.write_text(json.dumps(machines, indent=1))
        wrong += [one["error"]] * bool(one["error"]) + one["complaints"][:3]
    return "\n".join(wrong)


def read(series):
    """The records of all machines as one, in the order of MACHINES."""
    record = json.loads((RESULTS / f"{series}.json").read_text())
    machines = {name: record[name] for name in MACHINES if name in record}
    commits = {}
    for name, one in machines.items():
        commits.setdefault(f"{one['release']}, commit {one['commit']}, {one['date']}", []).append(name)
    return {"commits": [f"Linux {commit}: {', '.join(names)}" for commit, names in commits.items()],
            "missing": [name for name in MACHINES if name not in machines],
            "errors": [one["error"] for one in machines.values() if one["error"]],
            "complaints": [line for one in machines.values() for line in one["complaints"]],
            "results": {name: lines for one in machines.values() for name, lines in one["results"].items()}}


def status(lines):
    return int(lines[-2].split()[1])


def passed(lines):
    """Programs that have nothing to test on this machine say so."""
    return bool(lines) and status(lines) in (0, SKIPPED)


def outcome(lines):
    """One cell of the table, from what one program said."""
    if not lines:
        return "not run"
    word = {0: "ok", SKIPPED: "skipped", **dict.fromkeys(TIMED_OUT, "**timed out**")}.get(status(lines), "**fails**")
    tap = lines[:lines.index("--")]
    counts = [(name, sum(1 for line in tap if re.match(pattern, line))) for name, pattern in (
        ("passed", r"ok (?!.*# SKIP)"), ("skipped", r"ok .*# SKIP"), ("failed", r"not ok"))]
    texts = [f"{count} {name}" for name, count in counts if count]
    texts += [line.removeprefix("# note: ") for line in tap if line.startswith("# note: ")]
    return f"{word}{': ' if texts else ''}{', '.join(texts)}, {lines[-1].split()[1]} s"


def failures(lines):
    """What a program says of its failures, at most a few lines."""
    tap = lines[:lines.index("--")]
    found = [line for line in tap if re.match(r"(# )*not ok|.*\[FAIL\]", line)]
    return (found or [line for line in lines[lines.index("--") + 1:-2] if line.strip()][-4:])[:6]


def verdicts(lines):
    """What a program said of each of its tests, which can be of the same name."""
    said = {}
    for line in lines or []:
        if match := re.match(r"(ok|not ok) \d+ (.*?)(: status \d+|: timed out| # .*)?$", line):
            skipped = (match[3] or "").startswith(" # SKIP")
            said.setdefault(match[2], []).append(
                "skipped" if skipped else "passed" if match[1] == "ok" else "failed")
    return said


def differences(runs):
    """Tests of all programs that have another verdict on the other kernel."""
    names = list(dict.fromkeys(name for one in runs.values() for name in one["results"]))
    for name in names if len(runs) > 1 else []:
        said = [verdicts(one["results"].get(name)) for one in runs.values()]
        if all(said):
            yield from (f"- {name}: {test}: " + ", ".join(
                f"{KERNELS[series]} {' and '.join(one.get(test, ['not run']))}" for series, one in zip(runs, said))
                for test in dict.fromkeys(test for one in said for test in one)
                if len({tuple(one.get(test, [])) for one in said}) > 1)


def table(runs):
    names = list(dict.fromkeys(name for one in runs.values() for name in one["results"]))
    yield "| | " + " | ".join(KERNELS[series] for series in runs) + " |"
    yield "|---" * (len(runs) + 1) + "|"
    for name in names:
        cells = [outcome(one["results"].get(name)) for one in runs.values()]
        yield f"| {name} | " + " | ".join(cells) + " |"
    yield ""
    if different := list(differences(runs)):
        yield from ("## Tests with another verdict on the other kernel\n", *different, "")
    bad = [name for name in names if not all(passed(one["results"].get(name)) for one in runs.values())]
    if bad:
        yield "## What does not pass\n"
    for name in bad:
        yield f"**{name}**: {EXPLAINED.get(name, 'not explained yet.')}\n"
        for series, one in runs.items():
            lines = one["results"].get(name)
            if lines and not passed(lines):
                yield f"{KERNELS[series]}:\n"
                yield from (f"    {line}" for line in failures(lines))
                yield ""


def write_page():
    runs = {series: read(series) for series in KERNELS if (RESULTS / f"{series}.json").exists()}
    if not runs:
        sys.exit("others: error: nothing has been run yet; 'make others' does that")
    lines = [HEAD.rstrip("\n"), ""]
    for series, one in runs.items():
        lines.append(f"- {KERNELS[series]}:")
        lines += [f"  - {text}" for text in one["commits"]]
        lines += [f"  - not run: {', '.join(one['missing'])}"] * bool(one["missing"])
        lines += [f"  - **{error}**" for error in one["errors"]]
        lines += [f"  - **on a console**: `{line}`" for line in one["complaints"]] or ["  - all consoles are clean"]
    lines += ["", *table(runs)]
    PAGE.write_text("\n".join(lines).rstrip("\n") + "\n")
    print(f"others: {PAGE.name} is written")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="?", choices=KERNELS, help="the kernel; none: only write the page again")
    parser.add_argument("names", nargs="*", metavar="machine",
                        help=f"what to run; none: all of {' '.join(MACHINES)}")
    options = parser.parse_args()
    unknown = set(options.names) - set(MACHINES)
    if unknown:
        sys.exit(f"others: error: there is no {' '.join(sorted(unknown))}; there are: {' '.join(MACHINES)}")
    error = run(options.series, options.names or MACHINES) if options.series else None
    write_page()
    if error:
        sys.exit(f"others: error: {error}")


if __name__ == "__main__":
    main()
