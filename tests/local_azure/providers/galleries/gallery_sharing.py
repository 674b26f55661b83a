# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whom a gallery is shared with: subscriptions and tenants, or everybody as a community gallery."""

from __future__ import annotations

import uuid
from copy import deepcopy

from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError, missing_parameter, property_change
from tests.local_azure.kinds import json_object
from tests.local_azure.providers.galleries import gallery_fields as fields
from tests.local_azure.providers.galleries.gallery_kinds import GalleryKind
from tests.local_azure.store import Json, Resource

PERMISSIONS = ("Private", "Groups", "Community")
_GROUP_TYPES = ("Subscriptions", "AADTenants")
_OPERATIONS = ("Add", "Remove", "Reset", "EnableCommunity")
_COMMUNITY_FIELDS = ("publisherUri", "publisherContact", "eula", "publicNamePrefix")
# Telling other subscriptions takes Azure long, opening to everybody or nobody does not.
_GROUPS_SECONDS, _COMMUNITY_SECONDS = 45.0, 2.0
# More than 30 subscriptions and 5 tenants are refused.
_MOST = {"Subscriptions": 30, "AADTenants": 5}


def permissions_of(gallery: Resource) -> str:
    profile = gallery.properties.get("sharingProfile") or {}
    return str(profile.get("permissions") or "Private")


def shown_profile(profile: Json, *, with_groups: bool) -> Json:
    shown = deepcopy(profile)
    if not with_groups or not shown.get("groups"):
        shown.pop("groups", None)
    return shown


def sharing_status(gallery: Resource, *, busy: bool) -> Json | None:
    """None for what is not shared; `busy`: the gallery is being changed right now."""
    if permissions_of(gallery) == "Private" or not gallery.hidden.get("shared_once"):
        return None
    state = "InProgress" if busy else "Succeeded"
    return {"aggregatedState": state, "summary": [{"region": gallery.location, "state": state}]}


def merged_profile(present: Json | None, given: Json, path: str) -> Json:
    """The sharing profile after a PUT or PATCH of the gallery; only its `share` verb changes the groups."""
    before = (present or {}).get("permissions") or "Private"
    wanted = fields.choice(given, "permissions", f"{path}.permissions", PERMISSIONS) or before
    if before not in ("Private", wanted):
        # From one way of sharing to another a gallery goes by way of Reset.
        if wanted != "Private" or (present or {}).get("groups") or _is_public(present):
            raise property_change(f"{path}.permissions")
        return {"permissions": "Private"}
    info = fields.section(given, "communityGalleryInfo", f"{path}.communityGalleryInfo")
    if wanted != "Community":
        return {**(present or {}), "permissions": wanted}
    known = dict((present or {}).get("communityGalleryInfo") or {})
    for key in _COMMUNITY_FIELDS:
        value = fields.text(info, key, f"{path}.communityGalleryInfo.{key}") or known.get(key)
        if value is None:
            raise missing_parameter(f"{path}.communityGalleryInfo.{key}")
        known[key] = value
    prefix = known["publicNamePrefix"]
    names = list(known.get("publicNames") or [])
    if not any(name.startswith(f"{prefix}-") for name in names):
        names.append(f"{prefix}-{uuid.uuid4()}")
    shown = {"communityGalleryEnabled": bool(known.get("communityGalleryEnabled"))}
    shown |= {key: known[key] for key in _COMMUNITY_FIELDS}
    return {"permissions": "Community", "communityGalleryInfo": {**shown, "publicNames": names}}


def _is_public(profile: Json | None) -> bool:
    info = (profile or {}).get("communityGalleryInfo") or {}
    return bool(info.get("communityGalleryEnabled"))


class GallerySharing:
    """The verb `share` of a gallery."""

    def __init__(self, galleries: GalleryKind) -> None:
        self._galleries = galleries
        galleries.define("share", self._finish)

    async def share(self, call: Call) -> Reply:
        gallery = self._galleries.require(call)
        body = json_object(call)
        operation = fields.choice(body, "operationType", "sharingUpdate.operationType", _OPERATIONS)
        if operation is None:
            raise missing_parameter("sharingUpdate.operationType")
        groups = _checked_groups(body)
        self._check(gallery, operation, groups)
        self._galleries.refuse_concurrent(gallery)
        gallery.hidden["shared_once"] = True
        self._galleries.azure.store.put(gallery)
        slow = permissions_of(gallery) == "Groups"
        started = self._galleries.begin_caps(
            call,
            gallery,
            "share",
            {"operation": operation, "groups": groups},
            azure_seconds=_GROUPS_SECONDS if slow else _COMMUNITY_SECONDS,
        )
        return self._galleries.accepted(started)

    def _check(self, gallery: Resource, operation: str, groups: list[Json]) -> None:
        needed = {"Add": "Groups", "Remove": "Groups", "EnableCommunity": "Community"}.get(operation)
        if needed is not None and permissions_of(gallery) != needed:
            raise ArmError(
                400,
                "BadRequest",
                f"Sharing operation '{operation}' needs a gallery whose sharing profile permissions are "
                f"'{needed}'. The permissions of gallery '{gallery.name}' are '{permissions_of(gallery)}'.",
            )
        if needed == "Groups" and not groups:
            raise missing_parameter("sharingUpdate.groups")

    async def _finish(self, gallery: Resource, arguments: Json) -> None:
        profile: Json = gallery.properties.get("sharingProfile") or {"permissions": "Private"}
        operation, groups = arguments["operation"], arguments["groups"]
        if operation == "Reset":
            profile = {"permissions": "Private"}
        elif operation == "EnableCommunity":
            profile["communityGalleryInfo"]["communityGalleryEnabled"] = True
        else:
            profile["groups"] = _changed_groups(profile.get("groups") or [], groups, add=operation == "Add")
        gallery.properties["sharingProfile"] = profile
        self._galleries.keep(gallery)


def _checked_groups(body: Json) -> list[Json]:
    groups = []
    for index, group in enumerate(fields.entries(body, "groups", "sharingUpdate.groups")):
        path = f"sharingUpdate.groups[{index}]"
        kind = fields.choice(group, "type", f"{path}.type", _GROUP_TYPES)
        if kind is None:
            raise missing_parameter(f"{path}.type")
        ids = group.get("ids") or []
        if not isinstance(ids, list) or not all(_is_guid(i) for i in ids):
            raise ArmError(
                400,
                "InvalidParameter",
                f"The value of parameter {path}.ids is invalid.",
                target=f"{path}.ids",
            )
        if len(ids) > _MOST[kind]:
            raise ArmError(
                400,
                "InvalidParameter",
                f"A gallery can be shared with at most {_MOST[kind]} {kind}.",
                target=f"{path}.ids",
            )
        groups.append({"type": kind, "ids": ids})
    return groups


def _is_guid(value: object) -> bool:
    try:
        uuid.UUID(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def _changed_groups(present: list[Json], given: list[Json], *, add: bool) -> list[Json]:
    """Groups in the order of their types, each id once; a type without ids is left out."""
    result = []
    for kind in _GROUP_TYPES:
        ids = [i for group in present if group["type"] == kind for i in group["ids"]]
        named = [i for group in given if group["type"] == kind for i in group["ids"]]
        lowered = {i.lower() for i in named}
        kept = [i for i in ids if i.lower() not in lowered]
        if add:
            kept = list(
                dict.fromkeys([*ids, *(i for i in named if i.lower() not in {k.lower() for k in ids})])
            )
        if kept:
            result.append({"type": kind, "ids": kept})
    return result
