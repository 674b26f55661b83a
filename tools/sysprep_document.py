# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Writes docs/sysprep-diagnosis.md from the causes that the filter panther_diagnosis knows.

"make docs" calls it; a test holds the file to what it writes.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.image_state import MEANINGS
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_benign import BENIGN
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_cause import Cause
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_causes import CAUSES

from tools.documents import DOCUMENTS, heading

DOCUMENT = DOCUMENTS / "sysprep-diagnosis.md"
_INTRODUCTION = (
    heading("Why Sysprep failed", made_from="plugins/module_utils/_windows/panther_*.py")
    + """\

What the filter `panther_diagnosis`, the playbook `diagnose_sysprep.yml` and the role `windows_generalize`
know of Sysprep's failures. They read `setupact.log` and `setuperr.log` of
`%WINDIR%\\System32\\Sysprep\\Panther`, and those that Windows Setup writes to
`%WINDIR%\\Panther\\UnattendGC` when a machine made of the image starts for the first time; be it as files, as
people quote them, or as web pages and tools hand them on.

- Only the **last run** counts. `setuperr.log` keeps errors of earlier runs, in an image of the Marketplace
  those of Microsoft's own.
- The **first error** of what ended the run has the true code. Further down it loses its upper half:
  0x80080005, a service that did not start, becomes 0x5 and then 0x80070005, which looks like denied access.
- A cause is named by library, function, code and number of the message. Where they do not agree, it is
  `unknown`: then the result has the lines to read. A cause is *stated* where the log says so itself, else
  *inferred*.
- Sysprep names one reason at a time. The role's preflight looks for all of them.

None of this was tried on a Windows: the logs that the tests use were written by hand in the documented
formats, and the diagnosis was held to failures that people have quoted in public.

"""
)
_PHASES = (
    ("start", "options and privileges are looked at", "no"),
    ("validate-cleanup", "providers of clean-up may refuse", "no"),
    ("validate-generalize", "providers of generalizing may refuse", "no"),
    ("cleanup-internal", "Windows' own providers clean up", "in part: back to the backup"),
    ("cleanup-external", "other software's providers clean up", "in part: back to the backup"),
    ("generalize-internal", "Windows' own providers generalize", "yes: back to the backup"),
    ("generalize-external", "other software's providers generalize", "yes: back to the backup"),
    (
        "refused",
        "an earlier run does not let this one begin",
        "by the earlier run: back to the backup",
    ),
    ("complete", "success is noted", "it is generalized"),
    ("setup", "a machine made of the image starts for the first time", "yes: the image is to be made anew"),
)


def render() -> str:
    """The whole document."""
    return _INTRODUCTION + "\n".join([*_phases(), *_states(), *_overview(), *_details(), *_benign()]) + "\n"


def _phases() -> Iterator[str]:
    yield "## Phases, and whether the machine was changed"
    yield ""
    yield "| phase | what happens | changed |"
    yield "|---|---|---|"
    for name, what, changed in _PHASES:
        yield f"| {name} | {what} | {changed} |"
    yield ""


def _states() -> Iterator[str]:
    yield "## ImageState"
    yield ""
    yield "| value | what it means once Sysprep was started |"
    yield "|---|---|"
    for name, meaning in MEANINGS.items():
        yield f"| `{name}` | {meaning} |"
    yield ""


def _overview() -> Iterator[str]:
    yield "## Causes"
    yield ""
    yield "| id | cause | mostly in phase | known by |"
    yield "|---|---|---|---|"
    for cause in CAUSES:
        basis = "stated" if cause.stated else "inferred"
        yield f"| [{cause.id}](#{cause.id}) | {cause.title} | {cause.usual_phase or 'any'} | {basis} |"
    yield ""


def _details() -> Iterator[str]:
    for cause in CAUSES:
        yield from _detail(cause)


def _detail(cause: Cause) -> Iterator[str]:
    yield f"### {cause.id}"
    yield ""
    yield f"{cause.title}. {cause.explanation}"
    yield ""
    if cause.modules:
        yield f"- **Library**: {', '.join(f'`{name}`' for name in sorted(cause.modules))}"
    if cause.general:
        yield "- **Counts** where no cause above it does"
    yield f"- **Remedy**: {cause.remedy}"
    yield f"- **Source**: {cause.source}"
    yield ""


def _benign() -> Iterator[str]:
    yield "## Errors that do no harm"
    yield ""
    yield "These are in the logs of good images as well: `setuperr.log` proves neither success nor failure."
    yield ""
    yield "| id | pattern | why |"
    yield "|---|---|---|"
    for known in BENIGN:
        pattern = known.pattern.pattern.replace("|", "\\|")
        yield f"| {known.id} | `{pattern}` | {known.reason} |"


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")
