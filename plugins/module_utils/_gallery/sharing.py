# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whom a gallery is shared with: read from the options, and the steps that lead there.

Azure changes permissions by a write of the gallery, and everything else by its action "share". From one way
of sharing to another it goes by way of a reset, which ends what there was.
Source: Galleries - Update and Gallery Sharing Profile - Update of Azure's REST reference.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery_facts import (
    COMMUNITY,
    COMMUNITY_MEMBERS,
    GROUPS,
    PRIVATE,
    SUBSCRIPTIONS,
    TENANTS,
    members_of,
)

# "Share a gallery with subscriptions or tenants", limits.
_MOST = {SUBSCRIPTIONS: 30, TENANTS: 5}
_OPTIONS = {SUBSCRIPTIONS: "subscriptions", TENANTS: "tenants"}
_PERMISSIONS = {each.lower(): each for each in (PRIVATE, GROUPS, COMMUNITY)}


@dataclass(frozen=True)
class Sharing:
    """How a gallery is to be shared. `members` by kind; a kind that is missing is left as it is."""

    permissions: str
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    append: bool = False
    community: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Sharing:
        """Read the module's option `sharing`. Raises InvalidInput for what Azure would refuse."""
        permissions = _PERMISSIONS[given["permissions"]]
        members = {
            kind: tuple(given[option]) for kind, option in _OPTIONS.items() if given.get(option) is not None
        }
        community = {
            member: str(given[option]) for option, member in COMMUNITY_MEMBERS.items() if given.get(option)
        }
        if members and permissions != GROUPS:
            raise InvalidInput(
                f"sharing.{_OPTIONS[next(iter(members))]}: a gallery is shared with these only as groups.",
                remedy="Set sharing.permissions to groups, or leave it out.",
            )
        if community and permissions != COMMUNITY:
            raise InvalidInput(
                "sharing: publisher_uri, publisher_contact, eula and public_name_prefix are those of a"
                " community gallery.",
                remedy="Set sharing.permissions to community, or leave them out.",
            )
        for kind, ids in members.items():
            _check_ids(kind, ids)
        return cls(permissions, members, bool(given.get("append")), community)

    def profile(self, present: Mapping[str, Any]) -> dict[str, Any]:
        """The sharing profile that a write of the gallery has to carry."""
        if self.permissions != COMMUNITY:
            return {"permissions": self.permissions}
        known = present.get("communityGalleryInfo") or {}
        info = {
            member: self.community.get(member, known.get(member)) for member in COMMUNITY_MEMBERS.values()
        }
        missing = [option for option, member in COMMUNITY_MEMBERS.items() if not info[member]]
        if missing:
            raise InvalidInput(
                f"sharing.{missing[0]}: a community gallery needs it.",
                remedy="Give publisher_uri, publisher_contact, eula and public_name_prefix.",
            )
        return {"permissions": COMMUNITY, "communityGalleryInfo": info}


def _check_ids(kind: str, ids: Sequence[str]) -> None:
    option = f"sharing.{_OPTIONS[kind]}"
    for each in ids:
        try:
            uuid.UUID(each)
        except ValueError as error:
            raise InvalidInput(f"{option}: {each!r} is no id, which is a GUID.") from error
    if len(ids) > _MOST[kind]:
        raise InvalidInput(f"{option}: Azure allows {_MOST[kind]} of them, not {len(ids)}.")


class Share(NamedTuple):
    """One use of the gallery's action "share"; `said` is the sentence about it."""

    operation: str
    groups: Sequence[Mapping[str, Any]]
    said: str

    def body(self) -> dict[str, Any]:
        wire: dict[str, Any] = {"operationType": self.operation}
        return {**wire, "groups": list(self.groups)} if self.groups else wire


class Steps(NamedTuple):
    """What leads from a sharing profile to the wanted one: `before` the gallery is written, the profile to
    be written (None: it stays), and `after` that. `outcome` is the profile in the end."""

    before: Sequence[Share]
    profile: dict[str, Any] | None
    after: Sequence[Share]
    outcome: dict[str, Any]


def steps_to(wanted: Sharing | None, present: Mapping[str, Any] | None) -> Steps:
    """`present` is the sharing profile there is, with its groups; None for a gallery that is yet to be
    made."""
    profile = dict(present or {})
    if wanted is None:
        return Steps((), None, (), profile)
    permissions = str(profile.get("permissions") or PRIVATE)
    before: list[Share] = []
    if permissions not in (PRIVATE, wanted.permissions):
        before.append(Share("Reset", (), "Ended the sharing of the gallery"))
        profile = {"permissions": PRIVATE}
    if wanted.permissions == PRIVATE:
        return Steps(before, None, (), profile)
    target = wanted.profile(profile)
    written = None if _covers(profile, target) else target
    outcome = _merged(profile, target)
    after = _opened(outcome) if wanted.permissions == COMMUNITY else _members(outcome, wanted)
    return Steps(before, written, after, _after(outcome, after))


def _covers(profile: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    info = profile.get("communityGalleryInfo") or {}
    wanted = target.get("communityGalleryInfo") or {}
    same = all(info.get(name) == value for name, value in wanted.items())
    return profile.get("permissions") == target["permissions"] and same


def _merged(profile: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**deepcopy(dict(profile)), **deepcopy(dict(target))}
    if "communityGalleryInfo" in target:
        known = profile.get("communityGalleryInfo") or {}
        merged["communityGalleryInfo"] = {**known, **target["communityGalleryInfo"]}
    return merged


def _opened(profile: Mapping[str, Any]) -> list[Share]:
    if (profile.get("communityGalleryInfo") or {}).get("communityGalleryEnabled"):
        return []
    return [Share("EnableCommunity", (), "Opened the gallery to the community")]


def _members(profile: Mapping[str, Any], wanted: Sharing) -> list[Share]:
    added, removed, new, gone = [], [], [], []
    for kind, ids in wanted.members.items():
        present = {each.casefold(): each for each in members_of(profile, kind)}
        asked = {each.casefold(): each for each in ids}
        more = [each for key, each in asked.items() if key not in present]
        less = [] if wanted.append else [each for key, each in present.items() if key not in asked]
        if more:
            added.append({"type": kind, "ids": more})
            new += more
        if less:
            removed.append({"type": kind, "ids": less})
            gone += less
    found = []
    if added:
        found.append(Share("Add", added, f"Shared the gallery with {', '.join(new)}"))
    if removed:
        found.append(Share("Remove", removed, f"Ended the sharing of the gallery with {', '.join(gone)}"))
    return found


def _after(profile: Mapping[str, Any], steps: Sequence[Share]) -> dict[str, Any]:
    """The profile that the steps leave."""
    outcome = deepcopy(dict(profile))
    for step in steps:
        if step.operation == "EnableCommunity":
            outcome["communityGalleryInfo"]["communityGalleryEnabled"] = True
            continue
        outcome["groups"] = [
            {"type": kind, "ids": ids} for kind in _MOST if (ids := _ids_after(outcome, kind, step))
        ]
    return outcome


def _ids_after(profile: Mapping[str, Any], kind: str, step: Share) -> list[str]:
    present = members_of(profile, kind)
    named = members_of({"groups": step.groups}, kind)
    if step.operation == "Add":
        return [*present, *named]
    return [each for each in present if each not in named]
