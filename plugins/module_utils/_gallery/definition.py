# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings an image definition into the wanted state. What it says of the machines is fixed when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import changes, merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition_facts import (
    comparable,
    definition_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition_request import (
    FIXED,
    IDENTIFIER,
    DefinitionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.deletion import delete_emptied
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.derived import (
    contradictions,
    default_identifier,
    derived_features,
    derived_fixed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.features import (
    as_wire,
    differing,
    features_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery import required_gallery
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    GALLERY_API,
    first_of,
    moment_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.soft_deleted import soft_deleted_in
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding, refuse_if_any
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import known_location
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    SourceFacts,
    plan_of,
    plan_text,
    same_plan,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import SourceLookup

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_REQUIRED = ("osType", "osState", "identifier")
_DEFAULTS = {"os_state": "Generalized", "hyper_v_generation": "V1", "architecture": "x64"}


def _source(
    session: AzureSession, request: DefinitionRequest, location: str, *, needed: bool
) -> SourceFacts | None:
    """The request's source; None without one, or where it has gone and is not needed any more."""
    if request.source is None:
        return None
    try:
        lookup = SourceLookup(session, location=location, terms=False, verify_tls=session.verifies_tls)
        return lookup.describe(request.source)
    except NotFound:
        if needed:
            raise
        return None


def ensure_definition(
    session: AzureSession, request: DefinitionRequest, *, check_mode: bool, waiter: Waiter
) -> Ensured:
    """Create or update the definition. Bad input raises before any change."""
    gallery = required_gallery(session, request.gallery_id)

    def read() -> dict[str, Any] | None:
        return session.arm.get(request.id, GALLERY_API)

    current = settled(f"Image definition {request.name}", read(), read, waiter)
    location = normalize_location(gallery["location"])
    source = _source(session, request, location, needed=current is None)
    findings = contradictions(request, source) if source else []
    if current is None:
        body = _new_body(session, request, source, location, findings)
        before: dict[str, Any] = {}
        action = f"Created image definition {request.id}"
    else:
        findings += _unchangeable(request, source, current)
        refuse_if_any(f"bring image definition {request.name} into that state", findings)
        body = _differences(request, current)
        before = comparable(definition_facts(current))
        if not body:
            return Ensured(False, definition_facts(current), before, before)
        names = ", ".join(_words(body))
        action = f"Changed {names} of image definition {request.id}"
    if check_mode:
        properties = {**(current or {}).get("properties", {}), **body.get("properties", {})}
        properties.pop("allowUpdateImage", None)
        foreseen = {"id": request.id, "name": request.name, **(current or {}), **body}
        facts = definition_facts({**foreseen, "properties": properties})
    elif current is None:
        facts = definition_facts(session.arm.put(request.id, body, GALLERY_API, waiter))
    else:
        facts = definition_facts(session.arm.patch(request.id, body, GALLERY_API, waiter))
    return Ensured(True, facts, before, comparable(facts), [action])


def _new_body(
    session: AzureSession,
    request: DefinitionRequest,
    source: SourceFacts | None,
    location: str,
    findings: list[Finding],
) -> dict[str, Any]:
    fixed = {**_DEFAULTS, **(derived_fixed(source) if source else {}), **request.fixed}
    if "os_type" not in fixed:
        findings.append(
            Finding(
                "os-type-unknown",
                f"nothing tells which operating system the images of {request.name} have.",
                "os_type",
                "Set os_type to Linux or Windows.",
            )
        )
    told = source.generation if source else None
    if source is not None and not told and "hyper_v_generation" not in request.fixed:
        findings.append(
            Finding(
                "generation-unknown",
                f"{source.name} does not tell on which generation of machines it boots.",
                "hyper_v_generation",
                "Set hyper_v_generation to V1 (BIOS) or V2 (UEFI).",
            )
        )
    features = {**(derived_features(source) if source else {}), **request.features}
    findings += _impossible(fixed, features)
    refuse_if_any(f"make image definition {request.name}", findings)
    properties: dict[str, Any] = {member: fixed[option] for option, member in FIXED.items()}
    properties["identifier"] = default_identifier(request, fixed)
    if features:
        properties["features"] = as_wire(features)
    plan = request.plan if request.plan is not None else (source.plan if source else None)
    if plan:
        properties["purchasePlan"] = dict(plan)
    return {
        "location": known_location(session, request.location) if request.location else location,
        "tags": merged_tags({}, request.tags, True),
        "properties": {**properties, **request.changeable},
    }


def _impossible(fixed: Mapping[str, str], features: Mapping[str, str]) -> list[Finding]:
    """What no machine has, and Azure refuses. Source: "Support for generation 2 VMs", "Trusted launch"."""
    found = []
    if fixed["hyper_v_generation"] == "V1":
        remedy = "Set hyper_v_generation to V2, or leave it out."
        security = features.get("SecurityType", "Standard")
        if security != "Standard":
            what = f"machines of generation V1 have no security type {security}."
            found.append(Finding("generation-mismatch", what, "security_type", remedy))
        if fixed["architecture"] == "Arm64":
            what = "there are no Arm64 machines of generation V1."
            found.append(Finding("generation-mismatch", what, "architecture", remedy))
    return found


def _unchangeable(
    request: DefinitionRequest, source: SourceFacts | None, current: Mapping[str, Any]
) -> list[Finding]:
    """Where an existing definition is not as wanted, and never will be."""
    facts = definition_facts(current)
    wanted: dict[str, str] = {**(derived_fixed(source) if source else {}), **request.fixed}
    wanted.update(request.identifier)
    if request.location:
        wanted["location"] = request.location
    found = [
        _fixed_finding(request, option, facts[option], asked)
        for option, asked in wanted.items()
        if str(facts[option]).casefold() != asked.casefold()
    ]
    plan = request.plan if request.plan is not None else (source.plan if source else None)
    present = plan_of(facts["plan"])
    if plan is not None and not same_plan(plan, present):
        has, asked = (plan_text(each) if each else "none" for each in (present, plan))
        found.append(_fixed_finding(request, "plan", has, asked))
    if not request.allow_update_image:
        has_features = features_of(current)
        found += [
            Finding(
                "cannot-change",
                f"definition {request.name} exists; its feature {name} is {has_features.get(name)}, not"
                f" {request.features[name]}.",
                "allow_update_image",
                "Leave it as it is, set allow_update_image to true, or give another name.",
            )
            for name in differing(has_features, request.features)
        ]
    return found


def _fixed_finding(request: DefinitionRequest, option: str, has: object, asked: object) -> Finding:
    return Finding(
        "cannot-change",
        f"definition {request.name} exists; its {option} is {has}, not {asked}, which Azure does not change.",
        option,
        f"Leave it as it is, or give another name{'' if option in IDENTIFIER else ' and SKU'}.",
    )


def _differences(request: DefinitionRequest, current: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a PATCH with what differs; empty when nothing does."""
    body: dict[str, Any] = {}
    tags = merged_tags(current.get("tags"), request.tags, request.append_tags)
    if tags != (current.get("tags") or {}):
        body["tags"] = tags
    present = {"disallowed": {"diskTypes": []}, **current["properties"]}
    properties: dict[str, Any] = {
        name: value for name, value in request.changeable.items() if not _same(name, present.get(name), value)
    }
    has_features = features_of(current)
    if differing(has_features, request.features):
        properties["features"] = as_wire({**has_features, **request.features})
        properties["allowUpdateImage"] = True
    if properties:
        # Azure wants these even where they stay.
        body["properties"] = {**{name: current["properties"][name] for name in _REQUIRED}, **properties}
    return body


def _same(name: str, present: Any, wanted: Any) -> bool:
    if name == "endOfLifeDate":
        return bool(present) and moment_of(name, str(present)) == moment_of(name, wanted)
    return not changes({name: present}, {name: wanted})


def _words(body: Mapping[str, Any]) -> list[str]:
    """The options that a PATCH changes."""
    members = {
        "endOfLifeDate": "end_of_life",
        "privacyStatementUri": "privacy_statement_uri",
        "releaseNoteUri": "release_note_uri",
        "disallowed": "disallowed_disk_types",
    }
    named = [*(name for name in body if name != "properties"), *body.get("properties", {})]
    return [members.get(name, name) for name in named if name not in (*_REQUIRED, "allowUpdateImage")]


def remove_definition(
    session: AzureSession, request: DefinitionRequest, *, check_mode: bool, waiter: Waiter
) -> Ensured:
    """Delete the definition. No version may be in it, not even a deleted one that Azure keeps."""
    try:
        current = session.arm.get(request.id, GALLERY_API)
    except NotFound:
        current = None
    if current is None:
        return Ensured(False, None, {}, {})
    left = sorted(each["name"] for each in session.arm.list(f"{request.id}/versions", GALLERY_API))
    kept = [] if left else [each["name"] for each in soft_deleted_in(session, request.id)]
    if left or kept:
        what = "versions" if left else "deleted versions, which soft delete keeps,"
        raise InvalidInput(
            f"Image definition {request.name} is not empty, it has the {what} {first_of(left or kept)}.",
            remedy="Delete these first (module gallery_image_version, state"
            f" {'absent' if left else 'purged'}).",
        )
    if not check_mode:
        delete_emptied(session, request.id, waiter)
    before = comparable(definition_facts(current))
    return Ensured(True, None, before, {}, [f"Deleted image definition {request.id}"])


def list_definitions(session: AzureSession, gallery: str, name: str | None = None) -> list[dict[str, Any]]:
    """The definitions of a gallery, or the one of that name, in the order of their ids. Raises NotFound
    without the resource group, InvalidInput without the gallery."""
    if name:
        one = session.arm.get(f"{gallery}/images/{name}", GALLERY_API)
        return [one] if one else []
    required_gallery(session, gallery)
    listed = session.arm.list(f"{gallery}/images", GALLERY_API)
    return sorted(listed, key=lambda definition: str(definition["id"]).lower())
