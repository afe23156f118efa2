# SPDX-License-Identifier: GPL-2.0-only
"""The results as Markdown: goals, a table for each group, what failed."""

import statistics

from bench.cases import GROUPS, KERNELS
from bench.goals import GOALS, Goal
from bench.results import NOT_RUN, Missing


VERDICTS = {"met": "met", "not met": "**NOT met**", "failed": "**FAILED**"}


def number(value):
    if value is None:
        return "FAILED"
    if value == int(value):
        return str(int(value))
    if abs(value) < 0.1:
        return f"{value:.2g}"
    digits = 0 if abs(value) >= 100000 else 2 if abs(value) >= 10 else 3
    return f"{value:.{digits}f}"


def spread(values):
    """A median, and how far the values are apart if they are."""
    text = number(statistics.median(values))
    if len(set(values)) > 1:
        text += f" ({number(min(values))} to {number(max(values))})"
    return text


def rows(header, lines):
    return ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)] + \
        ["| " + " | ".join(line) + " |" for line in lines]


def goal_line(goal, record):
    values = record.get("values", [record["value"]])
    measured = spread(values) if record["value"] is not None else "FAILED"
    verdict = VERDICTS[record["verdict"]]
    if record["verdict"] == "not met" and goal.why:
        verdict += f": {goal.why}"
    return [goal.text, measured, goal.wanted, verdict]


def goals_table(goals):
    by_text = {goal.text: goal for goal in GOALS}
    return rows(["what", "measured", "goal", ""],
                [goal_line(by_text[record["goal"]], record) for record in goals])


def ratio(base, plain):
    """Patched to untouched; round by round, as they took turns."""
    if not base or not plain:
        return "-"
    if not all(base):
        return "from 0" if any(plain) else "1"
    return spread([value / other for value, other in zip(plain, base)])


def goal_of(results, case, figure):
    """What a row's last column says: the goals that its patched figure has."""
    said = []
    for goal in GOALS:
        if goal.figure != ("plain", case, figure) or not goal.counts(results.accel):
            continue
        try:
            said.append(f"{goal.wanted}{against(goal)}: {VERDICTS[goal.verdict(results)]}")
        except Missing:
            said.append(f"{goal.wanted}{against(goal)}: not measured")
    return "; ".join(said)


def against(goal: Goal):
    if not goal.against:
        return ""
    kernel, _, figure = goal.against
    above = {"ratio": " of", "percent": " above", "difference": " than",
             "difference105": " than 1.05 of"}[goal.compare]
    return f"{above} {KERNELS[kernel]} {figure}"


def figure_rows(results, case):
    outcomes = {kernel: results.outcomes.get((case.name, kernel),
                                             NOT_RUN if kernel in case.kernels else None)
                for kernel in KERNELS}
    names = []
    for outcome in outcomes.values():
        names += [name for name in (outcome.figures if outcome else ()) if name not in names]
    for name in names:
        values = {kernel: outcome.figures.get(name) if outcome and outcome.status == "ok" else None
                  for kernel, outcome in outcomes.items()}
        unit = next(outcome.units[name] for outcome in outcomes.values()
                    if outcome and name in outcome.figures)
        yield [name, unit, *(cell(outcomes[kernel], values[kernel]) for kernel in KERNELS),
               ratio(values["base"], values["plain"]), goal_of(results, case.name, name)]
    if not names:
        yield ["all", case.unit, *(cell(outcomes[kernel], None) for kernel in KERNELS), "-", ""]


def cell(outcome, values):
    if outcome and outcome.status != "ok":
        return "**FAILED**" if outcome.status == "failed" else "**not run**"
    return spread(values) if values else "-"


def case_section(results, case):
    shape = f"{case.cpus} CPU{'s' * (case.cpus > 1)}, {case.memory} MiB" + \
        (f", {case.nodes} nodes" if case.nodes > 1 else "")
    return [f"`{case.name}`: {case.title} ({case.how}; {shape})", "",
            *rows(["figure", "unit", "untouched", "patched", "ratio", "goal"],
                  figure_rows(results, case)), ""]


def group_tables(results, run):
    lines = []
    for group, title in GROUPS.items():
        cases = [case for case in run if case.group == group]
        if cases:
            lines += [f"<details><summary><b>{title}</b></summary>", ""]
            for case in cases:
                lines += case_section(results, case)
            lines += ["</details>", ""]
    return lines


def failures(results):
    lines = []
    for outcome in results.failures():
        lines += [f"### FAILED: `{outcome.case}`, {KERNELS[outcome.kernel]}", "", "```",
                  outcome.error, "```", ""]
    return lines


def provenance(results):
    run = results.run
    kernels = "; ".join(f"{KERNELS[name]} {kernel['release']}, configuration "
                        f"{kernel['config_sha256'][:12]}, image {kernel['image_sha256'][:12]}"
                        for name, kernel in results.kernels.items())
    return [f"Commit {run['commit'][:12]}{', with edits that are not committed' * run['dirty']}; "
            f"{'QUICK=1; ' * run['quick']}{run['started']}, {run['seconds']:.0f} seconds; "
            f"{run['qemu']}, {results.accel}; {run['host_cpus']} CPUs of the host; kernels: {kernels}.", ""]


def markdown(results, goals, cases):
    lines = ["## Goals", ""] + provenance(results) + goals_table(goals) + [""]
    lines += failures(results)
    lines += ["## All figures", ""] + group_tables(results, cases)
    return "\n".join(lines)
