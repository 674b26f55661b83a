# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whether a version of an image definition can be made of a machine: the properties both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import (
    check,
    findings,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import definition_target

_STATE = ("os-state-mismatch",)
_OTHERS = (
    "os-type-mismatch",
    "generation-mismatch",
    "architecture-mismatch",
    "security-type-mismatch",
    "controller-mismatch",
    "plan-lost",
    "plan-mismatch",
)


def definition_findings(
    option: str, definition: Mapping[str, Any], request: CaptureRequest, source: SourceVm
) -> list[Finding]:
    """Where machine and definition differ. What Azure does not tell of one of them is no difference."""
    target = definition_target(definition)
    # Which state it is to be captured in is the user's to say, whatever the machine is marked as now.
    asked = replace(source.facts, name="what is asked for", os_state=request.os_state.capitalize())
    verdicts = [*check(asked, target, _STATE), *check(source.facts, target, _OTHERS)]
    return findings(verdicts, lambda _verdict: f"{option}.definition")
