# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""All rules over the facts of a Windows machine, and what may be waived of the findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.firmware import azure_ids
from ansible_collections.goldenimage.azure.plugins.module_utils._windows import (
    preflight_appx,
    preflight_machine,
    preflight_people,
    preflight_restart,
    preflight_roles,
    preflight_setup,
    preflight_software,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    UnknownFactError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_rule import (
    ERROR,
    UNKNOWN,
    UNSUPPORTED,
    WARNING,
    Finding,
    Rule,
)

RULES: tuple[Rule, ...] = (
    *preflight_setup.RULES,
    *preflight_restart.RULES,
    *preflight_machine.RULES,
    *preflight_software.RULES,
    *preflight_people.RULES,
    *preflight_roles.RULES,
    *preflight_appx.RULES,
)
_ORDER = (ERROR, UNSUPPORTED, UNKNOWN, WARNING)


class WaiverError(ValueError):
    """A waiver that can never waive anything: most likely a name that is mistyped."""


class Preflight(NamedTuple):
    """`computer` is the machine's name, None where that is not known. `findings` speak against Sysprep, the
    gravest first; `waived` are those that somebody has waived. `vm_ids` is what Azure's id of the machine can
    be, nothing where that is not known."""

    computer: str | None
    findings: tuple[Finding, ...]
    waived: tuple[Finding, ...]
    vm_ids: tuple[str, ...]

    @property
    def stopping(self) -> tuple[Finding, ...]:
        """Those for which Sysprep is not to be started."""
        return tuple(finding for finding in self.findings if finding.stops)

    def as_result(self) -> dict[str, Any]:
        """All of it as Ansible returns it. `stops` is whether anything has to be done or waived first."""
        return {
            "computer": self.computer,
            "vm_ids": list(self.vm_ids),
            "stops": bool(self.stopping),
            "findings": [finding.as_result() for finding in self.findings],
            "waived": [finding.as_result() for finding in self.waived],
            "summary": [_line(finding) for finding in self.findings],
        }


def _line(finding: Finding) -> str:
    return f"{finding.name} ({finding.severity}): {finding.evidence} {finding.what} {finding.remedy}"


def preflight(facts: Facts, waive: Sequence[str] = ()) -> Preflight:
    """What speaks against running Sysprep on the machine.

    ``waive``: each the id of a rule, for all that it finds, or ``id:subject`` for one finding, in any case of
    letters. Raises WaiverError where the id is no rule's.
    """
    waivers = {_checked(waiver) for waiver in waive}
    findings = sorted(
        (finding for rule in RULES for finding in rule.apply(facts)),
        key=lambda finding: (_ORDER.index(finding.severity), not finding.stops),
    )
    waived = [finding for finding in findings if _names(finding) & waivers]
    return Preflight(
        computer=_computer(facts),
        findings=tuple(each for each in findings if each not in waived),
        waived=tuple(waived),
        vm_ids=_vm_ids(facts),
    )


def _computer(facts: Facts) -> str | None:
    try:
        return facts.of("restart").name("active_name")
    except UnknownFactError:
        return None


def _vm_ids(facts: Facts) -> tuple[str, ...]:
    try:
        return azure_ids(facts.of("firmware").text("uuid"))
    except UnknownFactError:
        return ()


def _names(finding: Finding) -> set[str]:
    return {finding.id.casefold(), finding.name.casefold()}


def _checked(waiver: object) -> str:
    if not isinstance(waiver, str):
        raise WaiverError(f"{waiver!r} is no text.")
    rule_id, colon, subject = waiver.partition(":")
    known = {rule.id for rule in RULES}
    if rule_id.casefold() not in known:
        raise WaiverError(f"There is no finding {rule_id!r}. There are: {', '.join(sorted(known))}.")
    if colon and not subject:
        raise WaiverError(f"{waiver!r} names no subject after the colon.")
    return waiver.casefold()
