# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Writes docs/windows-preflight.md from the rules of the preflight: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight import RULES
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.server_roles import (
    SERVER_ROLES,
    UNLISTED,
)

from tools.documents import DOCUMENTS, heading

DOCUMENT = DOCUMENTS / "windows-preflight.md"

_HEAD = (
    heading("What is looked at before Sysprep", made_from="plugins/module_utils/_windows/preflight*.py")
    + """\

What the filter `windows_preflight` finds on a Windows machine, and with it the role
[`windows_generalize`](../roles/windows_generalize/README.md). The severity is the worst that a rule finds;
some of what it sees is only a warning. A rule whose facts are missing or could not be read finds `unknown`,
which stops the run as its severity would.

None of this was tried on a Windows: the rules are tested on facts that were written by hand.
"""
)


def render() -> str:
    """The whole document."""
    return "\n".join([_HEAD, *_table(), *_details(), *_roles()])


def _table() -> Iterator[str]:
    yield "| finding | severity | stops | means |"
    yield "|---|---|---|---|"
    for rule in RULES:
        yield f"| [{rule.id}](#{rule.id}) | {rule.severity} | {'yes' if rule.stops else 'no'} | {rule.what} |"
    yield ""


def _details() -> Iterator[str]:
    yield "## Findings"
    yield ""
    for rule in RULES:
        yield f"### {rule.id}"
        yield ""
        yield rule.what
        yield ""
        yield f"- **Remedy**: {rule.remedy}"
        yield f"- **Source**: {rule.source}"
        yield ""


def _roles() -> Iterator[str]:
    yield "## Server roles"
    yield ""
    yield "As Microsoft's table states it for Windows Server 2012, the last version in it. For later ones no"
    yield "statement was found; the same is assumed, and each finding says so."
    yield ""
    yield "| role | features | Sysprep | condition or remedy |"
    yield "|---|---|---|---|"
    for role in SERVER_ROLES:
        features = ", ".join(f"`{name}`" for name in role.features)
        yield f"| {role.name} | {features} | {role.state} | {role.remark} |"
    for feature, name in UNLISTED.items():
        yield f"| {name} | `{feature}` | not in the table | |"
    yield ""


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")
