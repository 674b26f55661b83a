# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Writes docs/azure-checks.md from the checks that guest_audit makes.

"make docs" calls it; a test holds the file to what it writes.
"""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.checks import CHECKS

from tools.documents import DOCUMENTS, heading

DOCUMENT = DOCUMENTS / "azure-checks.md"
_INTRODUCTION = (
    heading(
        "What would keep a machine from booting on Azure", made_from="plugins/module_utils/_guest/check_*.py"
    )
    + """\

The module `guest_audit` looks for these on a running host, in a mounted tree and in a disk file, by files
alone; the role `linux_prepare` puts them right. A problem can be less severe than its check: a mount with
`nofail`, a driver for NVMe disks only, a kernel that is not the newest.

| id | what is looked for | severity | why |
|---|---|---|---|
"""
)


def render() -> str:
    """The whole document."""
    rows = [f"| `{check.id}` | {check.title} | {check.severity} | {check.reason} |" for check in CHECKS]
    return _INTRODUCTION + "\n".join(rows) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")
