# SPDX-License-Identifier: GPL-2.0-only
"""What is decided by reading: style, kernel-doc, licences, options, who maintains it, changelogs."""

import fnmatch
import re

from .item import (LINUX, Broken, Outcome, base_files, git_linux, introduced, kernel_files, logged, new_files,
                   touched_files)


def checkpatch(complete=True):
    """checkpatch --strict, on each patch"""
    commits = git_linux("rev-list", "base..HEAD").split()
    output = logged("checkpatch", "scripts/checkpatch.pl", "--strict", "--terse", "--show-types", "-g", "base..HEAD",
                    cwd=LINUX, may_fail=True)
    seen = re.findall(r"^(?:total:|[0-9a-f]{40} total:).* (\d+) lines checked", output, re.M)
    if len(seen) != len(commits):
        raise Broken(f"checkpatch looked at {len(seen)} of {len(commits)} patches")
    subjects = dict(line.split(" ", 1) for line in git_linux("log", "--format=%H %s", "base..HEAD").splitlines())
    findings = [f"{kind}: {text} ({subjects[commit]})" for commit, kind, text in
                re.findall(r"^([0-9a-f]{40}):\d+: \w+:([A-Z_]+): (.*)$", output, re.M)]
    return Outcome(findings, len(commits), "patches")


def kernel_doc(complete=True):
    """kernel-doc -Wall, in sources and headers"""
    def warnings(name, files, folder):
        output = logged(name, LINUX / "tools/docs/kernel-doc", "-none", "-Wall", *files, cwd=folder, may_fail=True)
        return [f"{file}: {text}" for file, text in
                re.findall(r"^(?:Warning|Error): (\S+?):\d+ (.*)$", output, re.M)]

    files = kernel_files(".c", ".h", complete=complete)
    old = [file for file in files if file not in new_files()]
    base = warnings("kernel-doc-base", old, base_files().name) if old else []
    return Outcome(introduced(warnings("kernel-doc", files, LINUX), base), len(files), "files")


def licences(complete=True):
    """SPDX lines, by spdxcheck"""
    files = touched_files()
    output = logged("licences", "scripts/spdxcheck.py", *files, cwd=LINUX, may_fail=True)
    findings = [f"{file}: {text}" for file, text in re.findall(r"^(\S+?): (?:\d+:\d+ )?(.*)$", output, re.M)
                if file in files]
    findings += [f"{file}: no SPDX line" for file in new_files(".c", ".h", ".sh", ".rst")
                 if "SPDX-License-Identifier" not in (LINUX / file).read_text()[:400]]
    return Outcome(findings, len(files), "files")


def sections_of(output):
    """What get_maintainer --sections prints: the name of each section, and its lines."""
    blocks = [block.splitlines() for block in re.split(r"\n\n+", output.strip()) if block.strip()]
    return {block[0]: block[1:] for block in blocks}


def names_file(line, file):
    """Does an F: line name a file? One for a whole top-level folder, such as mm/, does not count."""
    pattern = line.removeprefix("F:").strip()
    if not line.startswith("F:"):
        return False
    if pattern.endswith("/"):
        return pattern.count("/") > 1 and fnmatch.fnmatchcase(file, pattern + "*")
    return pattern.count("/") == file.count("/") > 0 and fnmatch.fnmatchcase(file, pattern)


def new_sections():
    """The sections that the series adds to MAINTAINERS, and their lines."""
    added = git_linux("diff", "-U0", "base", "HEAD", "--", "MAINTAINERS")
    names = re.findall(r"^\+((?![A-Z]:|\+\+)\S.*)$", added, re.M)
    text = (LINUX / "MAINTAINERS").read_text()
    return {name: re.search(rf"^{re.escape(name)}\n((?:[A-Z]:.*\n)*)", text, re.M)[1].splitlines() for name in names}


def maintainers(complete=True):
    """a section of MAINTAINERS names each new file, and each new section a maintainer"""
    sections = new_sections()
    if not sections:
        raise Broken("the series adds no section to MAINTAINERS")
    findings = [f"{name}: no M: line" for name, lines in sections.items() if not any(x.startswith("M:") for x in lines)]
    files = new_files()
    for file in files:
        output = logged("maintainers", "scripts/get_maintainer.pl", "--no-git", "--no-git-fallback", "--sections",
                        "-f", file, cwd=LINUX)
        if not any(names_file(line, file) for lines in sections_of(output).values() for line in lines):
            findings.append(f"{file}: no section names it")
    return Outcome(findings, len(files), "files")


def changelogs(complete=True):
    """trailers: Assisted-by, and nobody's Signed-off-by; a subject of at most 75 characters"""
    findings = []
    commits = git_linux("rev-list", "base..HEAD").split()
    for commit in commits:
        subject, _, body = git_linux("log", "-1", "--format=%B", commit).partition("\n")
        if not re.search(r"^Assisted-by: LLM$", body, re.M):
            findings.append(f"no Assisted-by ({subject})")
        if re.search(r"^Signed-off-by:", body, re.M):
            findings.append(f"a Signed-off-by, which only a human can give ({subject})")
        if len(subject) > 75 or not re.fullmatch(r"[^ ].*: .*[^.]", subject):
            findings.append(f"not the subject of a patch ({subject})")
    return Outcome(findings, len(commits), "patches")


def options(complete=True):
    """Kconfig: what the series adds has a help text and is used; what it uses exists"""
    added = "\n".join(line[1:] for line in git_linux("diff", "-U0", "base", "HEAD", "--", ":!tools", ":!Documentation",
                                                     ":!*.kunitconfig").splitlines() if line.startswith("+"))
    kconfigs = [file for file in touched_files() if file.rpartition("/")[2].startswith("Kconfig")]
    patch = git_linux("diff", "-U0", "base", "HEAD", "--", *kconfigs)
    new = re.findall(r"^\+(?:menu)?config (\w+)$", patch, re.M)
    findings = []
    for name in new:
        text = "\n".join((LINUX / file).read_text() for file in kconfigs)
        entry = re.search(rf"^(?:menu)?config {name}\n((?:[ \t].*\n|\n)*)", text, re.M)[1]
        prompt = re.search(r'^\s+(?:bool|tristate|int|hex|string) "|^\s+prompt ', entry, re.M)
        if prompt and not re.search(r"^\s+help\n", entry, re.M):
            findings.append(f"{name}: no help text")
        users = git_linux("grep", "-lwE", f"CONFIG_{name}|select {name}|depends on .*{name}|if {name}", "--",
                          *kconfigs, *kernel_files(".c", ".h", "Makefile"))
        if not users:
            findings.append(f"{name}: nothing uses it")
    used = set(re.findall(r"\bCONFIG_([A-Z0-9_]+)\b", added))
    used |= set(re.findall(r"^\s*(?:select|depends on|imply) (?:.*\W)?([A-Z][A-Z0-9_]+)\b", added, re.M))
    for name in sorted(used - {name.removesuffix("_MODULE") for name in used if name.endswith("_MODULE")}):
        if not git_linux("grep", "-lE", rf"^\s*(menu)?config {name.removesuffix('_MODULE')}$", "--", "*Kconfig*"):
            findings.append(f"{name}: there is no such option")
    return Outcome(findings, len(new), "new options")
