# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whether a version of an image definition can be made of a machine: the properties both have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._capture.provenance import plan_name
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding

_STANDARD = "Standard"
_PLAN_PARTS = ("publisher", "product", "name")


def definition_findings(
    option: str, definition: Mapping[str, Any], request: CaptureRequest, source: SourceVm
) -> list[Finding]:
    """Where machine and definition differ. What Azure does not tell of one of them is no difference."""
    properties = definition.get("properties") or {}
    name = definition.get("name", "")
    where = f"{option}.definition"
    found = []
    compared = (
        ("os-state-mismatch", "OS state", request.os_state.capitalize(), properties.get("osState")),
        ("os-type-mismatch", "operating system", source.os_type, properties.get("osType")),
        ("generation-mismatch", "generation", source.generation, properties.get("hyperVGeneration") or "V1"),
        (
            "architecture-mismatch",
            "architecture",
            source.architecture,
            properties.get("architecture") or "x64",
        ),
    )
    for finding, what, has, wanted in compared:
        if has and wanted and str(has).casefold() != str(wanted).casefold():
            whose = "what is asked for" if finding == "os-state-mismatch" else source.name
            found.append(
                Finding(
                    finding,
                    f"{whose} has {what} {has}, definition {name} is for {wanted}.",
                    where,
                    f"Use a definition for {has}.",
                )
            )
    features = _features(properties)
    found += _security(where, name, features.get("securitytype", _STANDARD), source)
    found += _controller(where, name, features.get("diskcontrollertypes", "SCSI"), source)
    found += _plan(where, name, properties.get("purchasePlan"), source)
    return found


def _features(properties: Mapping[str, Any]) -> dict[str, str]:
    listed = properties.get("features") or []
    return {str(each.get("name", "")).casefold(): str(each.get("value", "")) for each in listed}


def _security(where: str, name: str, wanted: str, source: SourceVm) -> list[Finding]:
    if wanted.casefold().endswith("supported"):
        what = f"definition {name} has SecurityType {wanted}, of which Azure makes no versions of a machine."
        remedy = (
            f"Use a definition with SecurityType {source.security_type}, or capture to VHD blobs and make the"
            " version of these."
        )
        if source.security_type == _STANDARD:
            remedy = "Use a definition without SecurityType, or capture to a managed image first."
        return [Finding("security-type-mismatch", what, where, remedy)]
    if wanted.casefold() == source.security_type.casefold():
        return []
    return [
        Finding(
            "security-type-mismatch",
            f"{source.name} has security type {source.security_type}, definition {name} is for {wanted}.",
            where,
            f"Use a definition for {source.security_type}.",
        )
    ]


def _controller(where: str, name: str, supported: str, source: SourceVm) -> list[Finding]:
    kinds = [kind.strip().casefold() for kind in supported.split(",")]
    if source.controller.casefold() in kinds:
        return []
    return [
        Finding(
            "controller-mismatch",
            f"the disks of {source.name} are at an {source.controller} controller, definition {name} is for"
            f" {supported}.",
            where,
            f"Use a definition whose feature DiskControllerTypes names {source.controller}.",
        )
    ]


def _plan(where: str, name: str, wanted: Mapping[str, Any] | None, source: SourceVm) -> list[Finding]:
    mine = [str((source.plan or {}).get(part) or "").casefold() for part in _PLAN_PARTS]
    theirs = [str((wanted or {}).get(part) or "").casefold() for part in _PLAN_PARTS]
    if mine == theirs:
        return []
    if not source.plan:
        what = f"definition {name} is for plan {plan_name(wanted or {})}, {source.name} has none."
        return [Finding("plan-mismatch", what, where, "Use a definition without a purchase plan.")]
    has = plan_name(source.plan)
    if not wanted:
        return [
            Finding(
                "plan-lost",
                f"{source.name} has Marketplace plan {has}, definition {name} has none, so that no machine"
                " could be made of the version.",
                where,
                f"Use a definition with purchase plan {has}.",
            )
        ]
    what = f"{source.name} has Marketplace plan {has}, definition {name} is for {plan_name(wanted)}."
    return [Finding("plan-mismatch", what, where, f"Use a definition with purchase plan {has}.")]
