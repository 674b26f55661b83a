# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Writes docs/windows-traces.md from the traces on Windows: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.trace import Trace
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.traces import TRACES

from tools.documents import DOCUMENTS, heading

DOCUMENT = DOCUMENTS / "windows-traces.md"

_HEAD = (
    heading("Traces on Windows", made_from="plugins/module_utils/_windows/traces.py")
    + """\

What still identifies a Windows machine or a person, beside what Sysprep itself removes, and should not be
in an image. The role [`windows_generalize`](../roles/windows_generalize/README.md) looks for these after
preflight, tells them, and removes them before it starts Sysprep.

- **Removed**: by default, or only when the id is in `windows_generalize_traces_include`; one in
  `windows_generalize_traces_exclude` stays.
- **Severity**: an `error` that could not be looked for, or not be removed, stops the role before Sysprep; a
  `warning` or `info` is told.
- `~` stands for every profile's folder, SYSTEM's and the services' included; `*` and `?` match within a name.

None of this was tried on a Windows: what is judged was written by hand.

## What stays in any case

- **The account and profile of the session.** No session can remove its own account. A step at the first
  start of each machine could, but Azure may have given an account of that name to the machine's owner by
  then, whom it would lock out. The role tells it every time. Build with an account whose name Azure will
  give to the owner, who then gets another password; or log in with another account for the last run, and
  name the first one in `windows_generalize_accounts`.
- **Registry hives of accounts that are not logged on.** Lists of what people ran are removed from loaded
  hives only; files are removed from all profiles.
- **What comes after.** The removal itself and Sysprep write to event logs, which Sysprep deletes at its
  end, and to `Panther`. Clearing the log `Security` is noted in it.
- **Secrets that only SYSTEM can read**, such as cached logons of a domain and the password of an automatic
  logon where it is kept in the LSA. Do not join the build machine to a domain.
- **Files in use.** They are told.

"""
)


def render() -> str:
    """The whole document."""
    return "\n".join([_HEAD + "## Traces", "", *_overview(), *_details()])


def _overview() -> Iterator[str]:
    yield "| id | what | removed | severity |"
    yield "|---|---|---|---|"
    for trace in TRACES:
        removed = "yes" if trace.default else "if included"
        yield f"| [{trace.id}](#{trace.id}) | {trace.title} | {removed} | {trace.severity} |"
    yield ""


def _details() -> Iterator[str]:
    for trace in TRACES:
        yield from _detail(trace)


def _detail(trace: Trace) -> Iterator[str]:
    reason, _off, why_kept = trace.reason.partition(" Off: ")
    yield f"## {trace.id}"
    yield ""
    yield f"{trace.title}. {reason}"
    if why_kept:
        yield f"Kept by default: {why_kept}"
    if trace.kept is not None:
        yield f"Kept where this holds: {(trace.kept.__doc__ or '').strip()}"
    yield ""
    yield "| where | what happens |"
    yield "|---|---|"
    for place in trace.places:
        for where, what in place.described:
            yield f"| `{where}` | {what} |" if "\\" in where else f"| {where} | {what} |"
    yield ""


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")
