# SPDX-License-Identifier: GPL-2.0-only
"""The results as pictures, by gnuplot: SVG and PNG. A picture is drawn if all
that it shows was measured."""

import subprocess

from bench.cases import KERNELS
from bench.results import Missing

# What a time stamp counter counts, and what the clock does.
TICKS = {"tcg": "instructions", "kvm": "ticks"}
SECONDS = {"tcg": "seconds of the VM, which go by for 10^9 instructions or while it waits",
           "kvm": "seconds"}

COLOURS = {"base": "#c0392b", "plain": "#2471a3", "other": "#7f8c8d"}
STYLE = """
set encoding utf8
set grid ytics lc rgb '#dddddd' lt 1
set border 3 lc rgb '#555555'
set tics nomirror
"""


class DrawError(Exception):
    """gnuplot did not draw."""


def gnuplot(out, name, size, script):
    width, height = size
    size = f"size {width},{height}"
    for suffix, terminal in (("svg", f"svg {size} font 'sans-serif,13' background 'white'"),
                             ("png", f"pngcairo {size} font 'sans,11'")):
        text = f"set terminal {terminal}\nset output '{out / name}.{suffix}'\n{STYLE}{script}"
        done = subprocess.run(["gnuplot"], input=text, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode or done.stdout.strip():
            raise DrawError(f"gnuplot, {name}: {done.stdout.strip()}")


def block(name, lines):
    """Data that a script has with it."""
    return f"${name} << END\n" + "\n".join(lines) + "\nEND\n"


# === The direct map over time ================================================

def course(outcome):
    """Its series, MiB, as the corners of steps, in seconds since its first phase."""
    start, end = outcome.phases[0][1], outcome.phases[-1][1]
    corners, last = [], None
    for x, kb_4k, *_ in [*outcome.series, (end, outcome.series[-1][1])]:
        if last is not None:
            corners.append((x - start, last))
        last = kb_4k / 1024
        corners.append((x - start, last))
    return corners


def phase_marks(outcome, row):
    """A line where each phase begins, and its name over it."""
    start = outcome.phases[0][1]
    lines = []
    for (name, x), (_, end) in zip(outcome.phases, outcome.phases[1:]):
        middle = (x + end) / 2 - start
        at = x - start
        lines.append(f"set label '{name}' at first {middle}, graph {row} center tc rgb '#555555'\n"
                     f"set arrow from {at}, graph 0 to {at}, graph 1 nohead dt 3 "
                     "lc rgb '#bbbbbb'\n")
    return "".join(lines)


def draw_life(results, out, case, name, title):
    """A panel for each kernel: it takes each its own time."""
    outcomes = {kernel: results.outcomes.get((case, kernel)) for kernel in KERNELS}
    for kernel, outcome in outcomes.items():
        if not outcome or outcome.status != "ok" or not outcome.series:
            raise Missing(case, kernel, outcome is not None)
    top = 1.25 * max(y for outcome in outcomes.values() for _, y in course(outcome))
    script = f"set multiplot layout 2,1 title \"{title}\"\nset yrange [0:{top}]\nset lmargin 11\n"
    for kernel, outcome in outcomes.items():
        points, colour = course(outcome), COLOURS[kernel]
        script += block(kernel, [f"{x} {y}" for x, y in points])
        script += "unset label\nunset arrow\n" + phase_marks(outcome, 0.92)
        script += (f"set xrange [0:{points[-1][0]}]\n"
                   f"set ylabel '{KERNELS[kernel]}: MiB'\n"
                   f"set xlabel '{SECONDS[results.accel] * (kernel == 'plain')}'\n"
                   f"plot ${kernel} using 1:2 with filledcurves y1=0 fs solid 0.25 noborder "
                   f"lc rgb '{colour}' notitle, "
                   f"'' using 1:2 with lines lw 2.5 lc rgb '{colour}' notitle\n")
    gnuplot(out, name, (900, 560), script + "unset multiplot\n")


# === Bars ====================================================================

def bars(results, entries):
    """Lines of data: a label, the sum of some figures of a case, a colour."""
    lines = []
    for index, (label, (kernel, case, *figures), colour) in enumerate(entries):
        value = sum(results.value(kernel, case, figure) for figure in figures)
        lines.append(f"{index} {value} {int(COLOURS[colour][1:], 16)} \"{label}\"")
    return lines


def draw_bars(results, out, name, title, ylabel, entries, more=""):
    script = block("bars", bars(results, entries)) + f"""
set title "{title}"
set ylabel "{ylabel}"
set yrange [0:*]
set boxwidth 0.7
set style fill solid 0.85 noborder
set xrange [-0.6:{len(entries) - 0.4}]
set tmargin 4
set bmargin 4
set xtics font ',9'
{more}
plot $bars using 1:2:3:xtic(4) with boxes lc rgb variable notitle, \\
     '' using 1:2:(sprintf($2 < 10 ? '%.3g' : '%.0f', $2)) with labels offset 0,0.7 notitle
"""
    gnuplot(out, name, (1000, 440), script)


PAGES = [
    ("alloc\\\\_page\\nzeroed", ("base", "pages", "page-zeroed-pair"), "other"),
    ("per-page\\nway", ("base", "orders", "perpage-alloc", "perpage-free"), "base"),
    ("unmapped\\nallocator", ("plain", "pages", "unmapped-pair"), "plain"),
    ("memfd\\\\_create", ("base", "faults", "memfd-touch", "memfd-close"), "other"),
    ("memfd\\\\_secret\\nuntouched", ("base", "faults", "secret-touch", "secret-close"), "base"),
    ("memfd\\\\_secret\\npatched", ("plain", "faults", "secret-touch", "secret-close"), "plain"),
    ("guest\\\\_memfd\\nflag off", ("plain", "gmem", "gmem-mapped-fault", "gmem-mapped-end"), "other"),
    ("guest\\\\_memfd\\nper-page", ("plain", "gmem", "gmem-perpage-fault", "gmem-perpage-end"), "base"),
    ("guest\\\\_memfd\\nflag on", ("plain", "gmem", "gmem-unmapped-fault", "gmem-unmapped-end"), "plain"),
]


def draw_pages(results, out):
    draw_bars(results, out, "pages",
              "A page allocated, touched and freed, on one CPU: without what it costs to interrupt others",
              f"{TICKS[results.accel]} a page", PAGES)


def draw_flushes(results, out):
    event = "flushes"
    entries = [
        ("memfd\\\\_secret\\nuntouched", ("base", "secret-events", event), "base"),
        ("memfd\\\\_secret\\npatched", ("plain", "secret-events", event), "plain"),
        ("guest\\\\_memfd\\nper-page, 8 x 128 MiB", ("plain", "gmem-perpage-events", event), "base"),
        ("guest\\\\_memfd\\nflag on", ("plain", "gmem-events", event), "plain"),
    ]
    draw_bars(results, out, "flushes",
              "Flushes of all CPUs' TLBs for kernel addresses while 1 GiB is populated and given back", "flushes",
              entries, "set logscale y\nset yrange [1:4e6]")


# === Scaling =================================================================

CPUS = ((1, "scale-1cpu"), (2, "scale-2cpus"), (4, "scale-4cpus"), (8, "scale-8cpus"))


def draw_scaling(results, out):
    """Calls between CPUs, for the same memory by more and more of them."""
    script = ""
    for kernel in KERNELS:
        script += block(kernel, [f"{cpus} {results.value(kernel, case, 'calls')}"
                                 for cpus, case in CPUS])
    script += """
set title "Calls between CPUs that populate 1 GiB of memfd\\\\_secret together, and free it"
set xlabel "virtual CPUs, and programs; where there is no point, there was no call"
set ylabel "calls"
set logscale x 2
set logscale y
set xrange [0.9:9]
set yrange [1:*]
set key top left
plot """ + ", ".join(f"${kernel} using 1:($2 > 0 ? $2 : 1/0) with linespoints pt 7 lw 2.5 "
                     f"lc rgb '{COLOURS[kernel]}' title '{KERNELS[kernel]}'" for kernel in KERNELS)
    gnuplot(out, "scaling", (900, 420), script + "\n")


# What there is, the one that explains the project first.
PICTURES = {
    "directmap": lambda results, out: draw_life(
        results, out, "life", "directmap",
        "What the direct map maps by 4 KiB entries, while programs keep 128 MiB of secrets"),
    "directmap-fragmented": lambda results, out: draw_life(
        results, out, "life-fragmented", "directmap-fragmented",
        "The same where no 2 MiB are free in one piece: what is mapped by 4 KiB entries"),
    "pages": draw_pages,
    "flushes": draw_flushes,
    "scaling": draw_scaling,
}


def draw(results, out):
    """All that can be drawn of the results; returns the names. What was drawn
    before, of other results, goes."""
    drawn = []
    for name, picture in PICTURES.items():
        for suffix in ("svg", "png"):
            (out / f"{name}.{suffix}").unlink(missing_ok=True)
        try:
            picture(results, out)
            drawn.append(name)
        except Missing as missing:
            print(f"bench: no picture {name}: {missing}")
    return drawn
