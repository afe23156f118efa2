# SPDX-License-Identifier: GPL-2.0-only
"""The leftovers: findings that are kept, each with its reason.

In the file, a line at the margin is a check and a finding, where * stands for
anything; the reason follows, indented.
"""

import dataclasses
import pathlib
import re

FILE = pathlib.Path(__file__).parent / "leftovers"


@dataclasses.dataclass
class Leftover:
    check: str
    finding: str
    reason: str = ""

    def fits(self, finding):
        return re.fullmatch(".*".join(map(re.escape, self.finding.split("*"))), finding)


def read(path=FILE):
    leftovers = []
    for line in path.read_text().splitlines():
        if line[:1].isspace() and leftovers:
            leftovers[-1].reason = f"{leftovers[-1].reason} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            check, _, finding = line.partition(": ")
            leftovers.append(Leftover(check, finding))
    for leftover in leftovers:
        if not leftover.reason or not leftover.finding.strip("* "):
            raise ValueError(f"{path.name}: '{leftover.check}: {leftover.finding}' has no reason, or fits everything")
    return leftovers


def sift(check, findings, leftovers):
    """Returns the findings that are not listed, and what is listed but was not found."""
    mine = [leftover for leftover in leftovers if leftover.check == check]
    unlisted = [finding for finding in findings if not any(leftover.fits(finding) for leftover in mine)]
    stale = [leftover.finding for leftover in mine if not any(map(leftover.fits, findings))]
    return unlisted, stale
