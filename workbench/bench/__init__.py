# SPDX-License-Identifier: GPL-2.0-only
"""The benchmarks: which there are (cases, goals), how they are run (run), what is
kept of them (results), and how that is shown (report, plots, page)."""
