# SPDX-License-Identifier: GPL-2.0-only
"""What a command can decide of what a maintainer will ask of the series."""

from . import compiled, documents, objects, semantic, text, userspace

# What takes seconds comes first.
ITEMS = {function.__name__.replace("_", "-"): function for function in (
    text.checkpatch,
    text.kernel_doc,
    text.changelogs,
    text.maintainers,
    text.licences,
    text.options,
    documents.references,
    userspace.uapi,
    userspace.kunitconfig,
    compiled.w1,
    compiled.sparse,
    objects.checkstack,
    compiled.builds,
    objects.bloat,
    semantic.coccicheck,
    documents.htmldocs,
    userspace.kselftest,
)}
