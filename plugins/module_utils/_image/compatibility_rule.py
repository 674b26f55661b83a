# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a compatibility rule is: a small function of a source and a target, with what to say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SourceFacts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import TargetFacts

#: Azure refuses it, or nothing useful comes of it / it works, with a loss that should be known.
ERROR, WARNING = "error", "warning"
#: When Azure itself would tell: by refusing the request, by its operation failing, when a machine is made of
#: the result, or never.
AT_ONCE, LATER, AT_BIRTH, NEVER = "at once", "later", "at birth", "never"
SOURCE, TARGET = "source", "target"


class Reason(NamedTuple):
    """Why a rule does not hold: two sentences. `about`: source, target, or "disk " and its name.

    `told` where Azure tells it otherwise than the rule says of all.
    """

    what: str
    remedy: str
    about: str = TARGET
    told: str | None = None


Check = Callable[[SourceFacts, TargetFacts], Iterable[Reason]]


class Rule(NamedTuple):
    """`targets` are the kinds that it is about; `title` is what has to hold, for the table of rules."""

    id: str
    title: str
    targets: Sequence[str]
    severity: str
    told: str
    documentation: str
    check: Check


class Verdict(NamedTuple):
    """A rule that does not hold for a source and a target, and why."""

    id: str
    severity: str
    reason: str
    remedy: str
    documentation: str
    about: str
    told: str

    def as_finding(self, where: str) -> Finding:
        """As part of a refusal. `where` names an option or a resource."""
        return Finding(self.id, self.reason, where, self.remedy)


class RuleBook:
    """Rules in the order in which they are told."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def rule(
        self,
        name: str,
        title: str,
        targets: Sequence[str],
        documentation: str,
        *,
        told: str,
        severity: str = ERROR,
    ) -> Callable[[Check], Check]:
        """Decorator: makes a function one of the rules."""

        def keep(check: Check) -> Check:
            self.rules.append(Rule(name, title, tuple(targets), severity, told, documentation, check))
            return check

        return keep
