# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The oracle: whether a target can be made of a source, told from what is known of both. Azure is not asked.

What is not known is not held against anything, so that the answer gets sharper with what is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._image import (
    compatibility_blobs,
    compatibility_disks,
    compatibility_images,
    compatibility_machines,
    compatibility_sources,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    ERROR,
    Rule,
    Verdict,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SourceFacts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import TargetFacts

KIND = "source-kind"
#: All rules, in the order in which they are told.
RULES: Sequence[Rule] = (
    *compatibility_sources.BOOK.rules,
    *compatibility_images.BOOK.rules,
    *compatibility_machines.BOOK.rules,
    *compatibility_disks.BOOK.rules,
    *compatibility_blobs.BOOK.rules,
)


def check(source: SourceFacts, target: TargetFacts, only: Iterable[str] | None = None) -> list[Verdict]:
    """The rules that do not hold; [] when nothing speaks against it.

    :param only: ids of the rules to go by; None: all
    """
    wanted = None if only is None else frozenset(only)
    asked = [rule for rule in RULES if target.kind in rule.targets and (wanted is None or rule.id in wanted)]
    found: list[Verdict] = []
    for rule in asked:
        found += _verdicts(rule, source, target)
        if found and rule.id == KIND:
            # What is said of another kind of source means nothing then.
            break
    return found


def _verdicts(rule: Rule, source: SourceFacts, target: TargetFacts) -> Iterator[Verdict]:
    for reason in rule.check(source, target):
        yield Verdict(
            rule.id,
            rule.severity,
            reason.what,
            reason.remedy,
            rule.documentation,
            reason.about,
            reason.told or rule.told,
        )


def refusals(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those for which nothing should be begun."""
    return [verdict for verdict in verdicts if verdict.severity == ERROR]


def findings(verdicts: Iterable[Verdict], where: Callable[[Verdict], str]) -> list[Finding]:
    """As part of a refusal; `where` names the option or resource that a verdict is about."""
    return [verdict.as_finding(where(verdict)) for verdict in verdicts]
