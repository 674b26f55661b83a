# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a rule of the preflight is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    UnknownFactError,
)

# Sysprep fails, or machines of the image are broken.
ERROR = "error"
# Microsoft says that it is not supported; Sysprep itself may well pass.
UNSUPPORTED = "unsupported"
# Worth a look; Sysprep minds it at most sometimes.
WARNING = "warning"
# The facts do not say. As grave as the worst that the rule could have found.
UNKNOWN = "unknown"

_STOPPING = (ERROR, UNSUPPORTED)


class Finding(NamedTuple):
    """One thing that speaks against Sysprep. `id` is the rule's, `subject` tells several findings of a rule
    apart (a package, a role; "" where there is one alone). `evidence` is what was read."""

    id: str
    subject: str
    severity: str
    what: str
    evidence: str
    remedy: str
    source: str
    stops: bool

    @property
    def name(self) -> str:
        """What a waiver of this very finding is called."""
        return f"{self.id}:{self.subject}" if self.subject else self.id

    def as_result(self) -> dict[str, Any]:
        """As Ansible returns it."""
        return {"name": self.name, **self._asdict()}


class Observation(NamedTuple):
    """What a rule has seen that is not as it should be. The other fields of a finding are the rule's, unless
    they are given here."""

    evidence: str
    subject: str = ""
    severity: str | None = None
    what: str | None = None
    remedy: str | None = None


class Rule(NamedTuple):
    """`look` gives what is not as it should be. UnknownFactError: it has not seen all it judges by.

    `severity` is the worst that it finds, and what it finds unless the observation says otherwise; `what` and
    `remedy` are sentences; `source` is where it is said or was seen.
    """

    id: str
    severity: str
    what: str
    remedy: str
    source: str
    look: Callable[[Facts], Iterable[Observation]]

    @property
    def stops(self) -> bool:
        """Whether what it finds stops the run, unless waived."""
        return self.severity in _STOPPING

    def apply(self, facts: Facts) -> list[Finding]:
        """What the rule finds. Where the facts do not say all: what they say, and that this is not all."""
        found: list[Finding] = []
        try:
            for seen in self.look(facts):
                found.append(self._finding(seen))
        except UnknownFactError as unknown:
            found.append(self._unknown(str(unknown)))
        return found

    def _finding(self, seen: Observation) -> Finding:
        severity = seen.severity or self.severity
        return Finding(
            id=self.id,
            subject=seen.subject,
            severity=severity,
            what=seen.what or self.what,
            evidence=seen.evidence,
            remedy=seen.remedy or self.remedy,
            source=self.source,
            stops=severity in _STOPPING,
        )

    def _unknown(self, reason: str) -> Finding:
        return Finding(
            id=self.id,
            subject=UNKNOWN,
            severity=UNKNOWN,
            what=f"It is not known whether this is so: {self.what}",
            evidence=reason[:1].upper() + reason[1:] + ".",
            remedy=(
                "See that the account of Ansible is an elevated administrator and that the machine answers; "
                "or look yourself, and waive this finding."
            ),
            source=self.source,
            stops=self.stops,
        )
