# SPDX-License-Identifier: GPL-2.0-only
"""Everything that guards the project, in groups.

A group is a function that yields a result for each of its tests: a name, a
verdict, details. What a group can't do, because a tool or a kernel fails, is a
failure of the group.
"""

from . import answers, compiled, dma, machines, refusals, text, workbench
from .suite import FAILED, PASSED, SKIPPED, Suite

__all__ = ["FAILED", "GROUPS", "HOST", "LONG", "PASSED", "SKIPPED", "Suite"]

# In the order in which they run: what takes seconds comes first.
GROUPS = {function.__name__.removeprefix("group_"): function for function in (
    workbench.group_workbench,
    refusals.group_series,
    refusals.group_input,
    compiled.group_prefix,
    compiled.group_prefix_all,
    compiled.group_style,
    machines.group_kunit,
    machines.group_kselftest,
    machines.group_tags,
    answers.group_answers,
    machines.group_numa,
    machines.group_unplug,
    machines.group_kvm,
    machines.group_torture,
    text.group_text,
    text.group_churn,
    dma.group_dma,
    dma.group_dma_all,
    machines.group_remains,
    machines.group_reported,
    machines.group_kcore,
    machines.group_hibernate,
    machines.group_stress,
    machines.group_guest,
    machines.group_story,
)}

# Whatever the variant of the kernel, they do the same.
HOST = ("workbench", "series", "input", "prefix", "prefix_all", "style")

# Part of 'make test-all', but not of 'make test'.
LONG = ("prefix_all", "churn", "dma_all")
