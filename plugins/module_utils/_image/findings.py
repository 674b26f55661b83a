# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Reasons why something is refused: all of them are found before anything is changed, and told together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput


class Finding(NamedTuple):
    """One reason. `id` is for programs, such as "shared-disk"; `what` and `remedy` are sentences, `where`
    names an option or a resource."""

    id: str
    what: str
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} {self.remedy}".rstrip()


class Refused(InvalidInput):
    """Nothing was changed; `findings` says why, each with what to do about it."""

    def __init__(self, task: str, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        lead = f"Refused to {task}, nothing was changed:"
        if len(self.findings) > 1:
            lead = f"Refused to {task} for {len(self.findings)} reasons, nothing was changed:"
        numbered = [
            f"({number}) {finding}" if len(self.findings) > 1 else str(finding)
            for number, finding in enumerate(self.findings, 1)
        ]
        super().__init__(" ".join([lead, *numbered]), code="Refused")

    def as_result(self) -> dict[str, Any]:
        """With the findings as a list of dictionaries."""
        return {**super().as_result(), "findings": [finding._asdict() for finding in self.findings]}


def refuse_if_any(task: str, findings: Sequence[Finding]) -> None:
    """Raise Refused unless there is none. `task` is a verb phrase, "back up virtual machine web"."""
    if findings:
        raise Refused(task, findings)
