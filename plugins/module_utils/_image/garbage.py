# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Finds and removes what builds left behind: what carries the tags of temporary resources, and only that.

A resource group that carries them is removed as a whole, or not at all when something in it does not carry
them. Whether it has expired is said by the group itself. Resources in other groups are removed one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import parse_resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    PURPOSE_TAG,
    build_of,
    expiry,
    has_expired,
    is_temporary,
    purpose_of,
    source_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import GROUPS_API
from ansible_collections.goldenimage.azure.plugins.module_utils._image.temporary_group import (
    KIND_APIS,
    attached_elsewhere,
    delete_group,
    end_access,
    foreign_resources,
    read_group,
    resources_in,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_network import delete_when_free

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_GROUP = "Microsoft.Resources/resourceGroups"
_TAGGED = f"tagName eq '{PURPOSE_TAG}'"
# Seconds that Azure may take to let go of an interface whose machine has been deleted.
_RELEASE = 200.0


class Wanted(NamedTuple):
    """What is to be collected at ``now``: all of a build, or with ``build_id`` None what has expired."""

    build_id: str | None
    now: datetime

    def includes(self, resource: Mapping[str, Any]) -> bool:
        """Whether a resource, by the tags that it has, is to be collected."""
        if self.build_id is not None:
            return build_of(resource) == self.build_id
        return has_expired(resource, self.now)


class Piece(NamedTuple):
    """One temporary group or resource; ``holds`` are the ids of what goes with a group. ``reason``: why it is
    not removed although it is wanted, or could not be."""

    resource: Mapping[str, Any]
    holds: tuple[str, ...] = ()
    reason: str = ""

    @property
    def id(self) -> str:
        return str(self.resource["id"])

    @property
    def kind(self) -> str:
        return str(self.resource["type"])

    def facts(self) -> dict[str, Any]:
        """The returned form."""
        ends = expiry(self.resource)
        return {
            "id": self.id,
            "type": self.kind,
            "purpose": purpose_of(self.resource),
            "build_id": build_of(self.resource),
            "expires": ends.isoformat() if ends else None,
            "source_id": source_of(self.resource),
            "holds": list(self.holds),
            "reason": self.reason or None,
        }


class Sorted(NamedTuple):
    """What was found: ``going`` in the order in which it can go, ``kept`` for a while, ``refused`` although
    wanted."""

    going: list[Piece]
    kept: list[Piece]
    refused: list[Piece]


class GarbageError(AzureError):
    """Some of what was to be removed is still there; everything else is gone."""

    def __init__(self, failed: list[Piece], removed: list[Piece]) -> None:
        self.failed = failed
        self.removed = removed
        told = "; ".join(f"{piece.id}: {piece.reason}" for piece in failed)
        super().__init__(
            f"{len(failed)} of {len(failed) + len(removed)} could not be removed: {told}",
            code="NotCollected",
            remedy="Remove the cause and run the task again.",
        )

    def as_result(self) -> dict[str, Any]:
        """With what is left and what was removed."""
        return {
            **super().as_result(),
            "left": [piece.facts() for piece in self.failed],
            "removed": [piece.facts() for piece in self.removed],
        }


def collect(session: AzureSession, wanted: Wanted, *, dry_run: bool, waiter: Waiter) -> Ensured:
    """Remove what is wanted, or with ``dry_run`` only say what that would be.

    Raises GarbageError when some of it could not be removed, after everything else was.
    """
    found = _sort(session, wanted)
    facts = {
        "garbage": [piece.facts() for piece in found.going],
        "kept": [piece.facts() for piece in found.kept],
        "refused": [piece.facts() for piece in found.refused],
    }
    before = {"garbage": [*(piece.id for piece in found.going)]}
    warnings = [f"{piece.id} is not removed: {piece.reason}" for piece in found.refused]
    actions = [f"Deleted {each}" for piece in found.going for each in (*piece.holds, piece.id)]
    if not dry_run:
        _remove_all(session, wanted, found.going, waiter)
    return Ensured(bool(found.going), facts, before, {"garbage": []}, actions, warnings)


def _sort(session: AzureSession, wanted: Wanted) -> Sorted:
    scope = f"/subscriptions/{session.subscription_id}"
    groups, resources = in_parallel(
        lambda path: session.arm.list(path, GROUPS_API, **{"$filter": _TAGGED}),
        (f"{scope}/resourcegroups", f"{scope}/resources"),
    )
    found = Sorted([], [], [])
    temporary = [each for each in groups if is_temporary(each)]
    names = {str(each["name"]).casefold() for each in temporary}
    loose = [
        each for each in resources if parse_resource_id(each["id"]).resource_group.casefold() not in names
    ]
    _sort_loose(session, wanted, loose, found)
    for group in temporary:
        _sort_group(session, wanted, {**group, "type": _GROUP}, found)
    return found


def _sort_loose(
    session: AzureSession, wanted: Wanted, listed: Iterable[Mapping[str, Any]], found: Sorted
) -> None:
    """Resources in groups that are not temporary."""
    known = [each for each in listed if str(each["type"]).casefold() in KIND_APIS]
    strange = [each for each in listed if str(each["type"]).casefold() not in KIND_APIS]
    # Lists filtered by a tag may come without tags.
    whole = in_parallel(lambda each: each if each.get("tags") else _read(session, each), known)
    pieces = [Piece(each) for each in whole if each is not None and is_temporary(each)]
    going = [piece for piece in pieces if wanted.includes(piece.resource)]
    found.kept.extend(piece for piece in pieces if not wanted.includes(piece.resource))
    found.refused.extend(
        Piece(each, reason="This collection makes no temporary resources of this kind.")
        for each in strange
        if wanted.includes(each)
    )
    for piece in going:
        held = _held(session, piece, going)
        (found.refused if held else found.going).append(piece._replace(reason=held))
    order = list(KIND_APIS)
    found.going.sort(key=lambda piece: order.index(piece.kind.casefold()))


def _held(session: AzureSession, piece: Piece, going: Iterable[Piece]) -> str:
    """Why a resource cannot go without something that is not ours; "" when it can."""
    others = attached_elsewhere(session, [piece.resource])
    gone = {other.id.casefold() for other in going}
    foreign = [other for other in others if other.casefold() not in gone]
    return f"With it would go what is not to be collected ({', '.join(foreign)})." if foreign else ""


def _sort_group(session: AzureSession, wanted: Wanted, group: Mapping[str, Any], found: Sorted) -> None:
    if not wanted.includes(group):
        found.kept.append(Piece(group))
        return
    contents = resources_in(session, str(group["id"]))
    reason = _reason_to_stay(session, group, contents)
    if reason:
        found.refused.append(Piece(group, reason=reason))
        return
    found.going.append(Piece(group, tuple(sorted(str(each["id"]) for each in contents))))


def _reason_to_stay(
    session: AzureSession, group: Mapping[str, Any], contents: Iterable[Mapping[str, Any]]
) -> str:
    """What would go with the group and may not; "" when there is no such thing."""
    foreign = foreign_resources(session, contents, str(build_of(group)))
    return f"With it would go what its build did not make ({', '.join(foreign)})." if foreign else ""


def _read(session: AzureSession, listed: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        found = session.arm.get(str(listed["id"]), KIND_APIS[str(listed["type"]).casefold()])
    except NotFound:
        return None
    return {**found, "type": listed["type"]} if found else None


def _remove_all(session: AzureSession, wanted: Wanted, going: Iterable[Piece], waiter: Waiter) -> None:
    failed: list[Piece] = []
    removed: list[Piece] = []
    for piece in going:
        try:
            _remove(session, wanted, piece, waiter)
        except AzureError as error:
            failed.append(piece._replace(reason=str(error)))
        else:
            removed.append(piece)
    if failed:
        raise GarbageError(failed, removed)


def _remove(session: AzureSession, wanted: Wanted, piece: Piece, waiter: Waiter) -> None:
    """Delete one piece, unless it is gone. Its tags are read once more: its expiry may have been put off."""
    if piece.kind == _GROUP:
        group = read_group(session, str(piece.resource["name"]))
        if group is None or not wanted.includes(group):
            return
        # The groups before this one may have taken long: somebody may have put something into it.
        reason = _reason_to_stay(session, group, resources_in(session, piece.id))
        if reason:
            raise AzureError(reason, code="NotOurs", target=piece.id)
        delete_group(session, piece.id, waiter)
        return
    present = _read(session, piece.resource)
    if present is None or not wanted.includes(present):
        return
    if piece.kind.casefold().startswith("microsoft.network/"):
        delete_when_free(session.arm, piece.id, min(_RELEASE, waiter.timeout))
        return
    end_access(session, piece.resource, waiter)
    session.arm.delete(piece.id, KIND_APIS[piece.kind.casefold()], waiter)
