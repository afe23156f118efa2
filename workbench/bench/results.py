# SPDX-License-Identifier: GPL-2.0-only
"""What is kept of a run: JSON lines, and how they are read again.

Each line of results.jsonl is an object; "record" says which:

run     started (UTC), commit (of this repository), dirty (true: with edits that
        are not committed), quick, cases (names of all that were to be run), accel
        (tcg: the emulator, kvm: a processor), qemu (version), host_cpus, seconds
kernel  kernel (base: untouched, plain: patched), release, config_sha256,
        image_sha256 (of the bzImage)
case    case, group, title, how (instructions, events, wall, real), kernel, status (ok,
        failed, not run), seconds, cpus, nodes, memory (MiB), error (text, if it failed)
figure  case, kernel, figure (name), unit, values (a list: one for each run, or for
        each round, in order), value (their median)
series  case, kernel, x (seconds of the VM since its boot), kb_4k, kb_2m, kb_1g
        (kB of the direct map that entries of this size map)
phase   case, kernel, phase (its name), x (when it began)
goal    goal (text), value, limit, least (true: the limit is the least, not the
        most), verdict (met, not met, failed), values where there is more than one
"""

import dataclasses
import json
import statistics

from bench.cases import KERNELS


class Missing(Exception):
    """There is no such figure: it was not measured, or that failed."""

    def __init__(self, case, kernel, failed):
        super().__init__(f"{case}, {KERNELS[kernel]}: {'failed' if failed else 'not measured'}")
        self.failed = failed


@dataclasses.dataclass
class Outcome:
    """A case on a kernel."""
    case: str
    kernel: str
    status: str = "ok"
    error: str = ""
    seconds: float = 0
    figures: dict = dataclasses.field(default_factory=dict)     # name: values
    units: dict = dataclasses.field(default_factory=dict)       # name: unit
    series: list = dataclasses.field(default_factory=list)      # (x, 4k, 2M, 1G)
    phases: list = dataclasses.field(default_factory=list)      # (name, x)

    def fail(self, error):
        self.status = "failed"
        self.error = str(error)


NOT_RUN = Outcome("", "", status="not run")


class Results:
    def __init__(self):
        self.run = {}
        self.kernels = {}
        self.outcomes = {}      # (case, kernel): Outcome

    @property
    def accel(self):
        return self.run.get("accel", "tcg")

    def values(self, kernel, case, figure):
        """Of a figure, or of the sum of several: "one+another"."""
        outcome = self.outcomes.get((case, kernel))
        if not outcome or outcome.status == "not run":
            raise Missing(case, kernel, False)
        names = figure.split("+")
        # A case that worked and lacks a figure that somebody wants has failed too.
        if outcome.status != "ok" or not outcome.figures.keys() >= set(names):
            raise Missing(case, kernel, True)
        return [sum(values) for values in zip(*(outcome.figures[name] for name in names))]

    def value(self, kernel, case, figure):
        return statistics.median(self.values(kernel, case, figure))

    def failures(self):
        return [outcome for outcome in self.outcomes.values() if outcome.status == "failed"]

    def incomplete(self, cases):
        """The names of those cases that did not run on all their kernels."""
        return [case.name for case in cases
                if any(self.outcomes.get((case.name, kernel), NOT_RUN).status == "not run"
                       for kernel in case.kernels)]


def outcome_records(case, outcome):
    same = {"case": case.name, "kernel": outcome.kernel}
    yield {"record": "case", **same, "group": case.group, "title": case.title, "how": case.how,
           "status": outcome.status, "seconds": round(outcome.seconds, 1), "cpus": case.cpus,
           "nodes": case.nodes, "memory": case.memory,
           **({"error": outcome.error} if outcome.error else {})}
    for name, values in outcome.figures.items():
        yield {"record": "figure", **same, "figure": name, "unit": outcome.units[name],
               "values": values, "value": statistics.median(values)}
    for x, *kb in outcome.series:
        yield {"record": "series", **same, "x": x, **dict(zip(("kb_4k", "kb_2m", "kb_1g"), kb))}
    for name, x in outcome.phases:
        yield {"record": "phase", **same, "phase": name, "x": x}


def write(path, results, cases, goals):
    """goals: records of what was reached, see goals.py."""
    records = [{"record": "run", **results.run}]
    records += [{"record": "kernel", "kernel": name, **kernel}
                for name, kernel in results.kernels.items()]
    for case in cases:
        for kernel in case.kernels:
            records += outcome_records(case, results.outcomes.get(
                (case.name, kernel), dataclasses.replace(NOT_RUN, case=case.name, kernel=kernel)))
    records += [{"record": "goal", **goal} for goal in goals]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def read(path):
    results = Results()
    for line in path.read_text().splitlines():
        record = json.loads(line)
        kind = record.pop("record")
        if kind == "run":
            results.run = record
        elif kind == "kernel":
            results.kernels[record.pop("kernel")] = record
        elif kind != "goal":
            read_outcome(results, kind, record)
    return results


def read_outcome(results, kind, record):
    key = record["case"], record["kernel"]
    outcome = results.outcomes.setdefault(key, Outcome(*key))
    if kind == "case":
        outcome.status, outcome.seconds = record["status"], record["seconds"]
        outcome.error = record.get("error", "")
    elif kind == "figure":
        outcome.figures[record["figure"]] = record["values"]
        outcome.units[record["figure"]] = record["unit"]
    elif kind == "series":
        outcome.series.append(tuple(record[name] for name in ("x", "kb_4k", "kb_2m", "kb_1g")))
    elif kind == "phase":
        outcome.phases.append((record["phase"], record["x"]))
