# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What an image definition has to be for a source: the options that the user may leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition_request import (
    DefinitionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.features import features_of_options
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    SCSI,
    STANDARD,
    SourceFacts,
    plan_text,
    same_plan,
)

_FIXED = {
    "os_type": "os_type",
    "os_state": "os_state",
    "hyper_v_generation": "generation",
    "architecture": "architecture",
}
# A marked machine is generalized; one that is not marked yet will be before an image is made of it, or is
# the source of a specialized image: only its owner knows.
_UNTOLD = ("virtual_machine",)
_LONGEST_OFFER = 64


def derived_fixed(source: SourceFacts) -> dict[str, str]:
    """The options that Azure never changes later, as far as the source tells them."""
    told = {option: getattr(source, member) for option, member in _FIXED.items()}
    if source.kind in _UNTOLD and told["os_state"] != "Generalized":
        told["os_state"] = None
    return {option: str(value) for option, value in told.items() if value}


def derived_features(source: SourceFacts) -> dict[str, str]:
    """The features that images of the source have. An image's own are taken over as they are."""
    if source.features:
        return dict(source.features)
    options: dict[str, Any] = {}
    if source.security_type and source.security_type != STANDARD:
        options["security_type"] = source.security_type
    if source.disk_controllers and set(source.disk_controllers) != {SCSI}:
        # What runs with NVMe drives has the SCSI drivers of Hyper-V, too: no image for one kind alone.
        options["disk_controllers"] = {SCSI, *source.disk_controllers}
    return features_of_options(options)


def contradictions(request: DefinitionRequest, source: SourceFacts) -> list[Finding]:
    """Where the options say something else than the source is."""
    found = []
    told = derived_fixed(source)
    for option, asked in request.fixed.items():
        has = told.get(option)
        if has is not None and has.casefold() != asked.casefold():
            found.append(
                Finding(
                    f"{option.replace('_', '-')}-mismatch",
                    f"{asked} was asked for, but {source.name} has {has}.",
                    option,
                    "Leave it out, or give the source's.",
                )
            )
    if request.plan is not None and source.plan is not None and not same_plan(request.plan, source.plan):
        has = plan_text(source.plan) if source.plan else "none"
        found.append(
            Finding(
                "plan-mismatch",
                f"{plan_text(request.plan)} was asked for, but the plan of {source.name} is {has}.",
                "plan",
                "Leave it out, or give the source's.",
            )
        )
    return found


def default_identifier(request: DefinitionRequest, fixed: Mapping[str, str]) -> dict[str, str]:
    """Publisher, offer and SKU; where they are not given, names that no other definition of the gallery
    has."""
    gallery = request.gallery_id.rpartition("/")[2]
    machine = f"{fixed.get('hyper_v_generation', 'V1')}-{fixed.get('architecture', 'x64')}".lower()
    offer = request.name[:_LONGEST_OFFER].rstrip(".")
    return {"publisher": gallery, "offer": offer, "sku": machine, **request.identifier}
