# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Writes docs/traces.md from the definitions that the remover and the auditor work from.

"make docs" calls it; a test holds the file to what it writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import FAMILIES
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Place
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import TRACES

from tools.documents import DOCUMENTS, heading

DOCUMENT = DOCUMENTS / "traces.md"
_INTRODUCTION = (
    heading("Traces", made_from="plugins/module_utils/_guest/traces_*.py")
    + """\

What still identifies a Linux machine or a person, and should not be in an image. The module
`guest_generalize` and the role `linux_generalize` remove these, the module `guest_audit` finds what is left:
all from one definition.

- **Removed**: by default, or only when the id is in `traces_include`; one in `traces_exclude` is left alone.
- **When**: *at once*, while the task runs, or by the *last* step, when nobody is logged in any more.
- **Severity**: of the finding that the audit makes of it.
- `~/` stands for every home directory: of all accounts, of root, and whatever else is in `/home`.
  `*`, `?` and `[]` match within a name, and `{a,b}` stands for alternatives.
- A place with a system is looked at on that family of distributions only; where the family is not known,
  every place is.

"""
)


def render() -> str:
    """The whole document."""
    return _INTRODUCTION + "\n".join([*_families(), *_overview(), *_details()]) + "\n"


def _families() -> Iterator[str]:
    yield "| system | distributions |"
    yield "|---|---|"
    for family in FAMILIES:
        yield f"| {family.id} | {family.title} |"
    yield ""


def _overview() -> Iterator[str]:
    yield "| id | what | removed | when | severity |"
    yield "|---|---|---|---|---|"
    for trace in sorted(TRACES):
        removed = "yes" if trace.default else "if included"
        when = "last" if trace.last else "at once"
        yield f"| [{trace.id}](#{trace.id}) | {trace.title} | {removed} | {when} | {trace.severity} |"
    yield ""


def _details() -> Iterator[str]:
    for trace in sorted(TRACES):
        yield from _detail(trace)


def _detail(trace: Trace) -> Iterator[str]:
    yield f"## {trace.id}"
    yield ""
    reason, _off, why_kept = trace.reason.partition(" Off: ")
    yield f"{trace.title}. {reason}"
    if why_kept:
        yield f"Kept by default: {why_kept}"
    if trace.applies is not None:
        yield f"Kept where this does not hold: {_first_sentence(trace)}"
    yield ""
    yield "| path | what happens | system |"
    yield "|---|---|---|"
    for place in trace.places:
        systems = ", ".join(family.id for family in place.families) or "all"
        for pattern in place.patterns:
            yield f"| `{pattern}` | {_cell(place)} | {systems} |"
    yield ""


def _first_sentence(trace: Trace) -> str:
    words = (trace.applies.__doc__ or "").strip().partition("\n")[0]
    return re.sub(r"^Whether ", "", words)


def _cell(place: Place) -> str:
    return place.what.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")
