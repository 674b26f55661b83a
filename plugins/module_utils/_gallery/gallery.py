# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings a gallery into the wanted state: itself, and whom it is shared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import changes, merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.deletion import (
    delete_emptied,
    to_its_end,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery_facts import (
    comparable,
    gallery_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    GALLERY_API,
    first_of,
    gallery_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.sharing import (
    Share,
    Sharing,
    Steps,
    steps_to,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import check_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import (
    group_location,
    known_location,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# Without this Azure says how a gallery is shared, and not with whom.
_WITH_GROUPS = {"$expand": "SharingProfile/Groups"}


@dataclass(frozen=True)
class GalleryRequest:
    """A gallery as it is wanted; None stands for "not said"."""

    id: str
    name: str
    resource_group: str
    location: str | None = None
    description: str | None = None
    soft_delete: bool | None = None
    sharing: Sharing | None = None
    tags: dict[str, str] | None = None
    append_tags: bool = True

    @classmethod
    def from_options(cls, options: Mapping[str, Any], subscription: str) -> GalleryRequest:
        """Read the module's options. Raises InvalidInput for what Azure would refuse in any case."""
        check_tags(options.get("tags"))
        group, name = options["resource_group"], options["name"]
        return cls(
            id=gallery_id(subscription, group, name, option="name"),
            name=name,
            resource_group=group,
            location=normalize_location(options["location"]) if options.get("location") else None,
            description=options.get("description"),
            soft_delete=options.get("soft_delete"),
            sharing=Sharing.from_options(options["sharing"]) if options.get("sharing") else None,
            tags=options.get("tags"),
            append_tags=options.get("append_tags", True),
        )


def read_gallery(session: AzureSession, gallery: str) -> dict[str, Any] | None:
    """The gallery with whom it is shared with, in wire shape."""
    return session.arm.get(gallery, GALLERY_API, **_WITH_GROUPS)


def required_gallery(session: AzureSession, gallery: str) -> dict[str, Any]:
    """The gallery that something is, or is to be, in. Raises InvalidInput where there is none."""
    found = read_gallery(session, gallery)
    if found is None:
        raise InvalidInput(
            f"gallery: there is no gallery {gallery.rpartition('/')[2]} in resource group"
            f" {gallery.split('/')[4]}.",
            remedy="Make it first (module gallery), or correct its name and resource_group.",
        )
    return found


def ensure_gallery(
    session: AzureSession, request: GalleryRequest, *, check_mode: bool, waiter: Waiter
) -> Ensured:
    """Create or update the gallery. Bad input raises before any change."""

    def read() -> dict[str, Any] | None:
        return read_gallery(session, request.id)

    current = settled(f"Gallery {request.name}", read(), read, waiter)
    if current is None:
        return _create(session, request, check_mode=check_mode, waiter=waiter)
    return _update(session, request, current, check_mode=check_mode, waiter=waiter)


def _create(session: AzureSession, request: GalleryRequest, *, check_mode: bool, waiter: Waiter) -> Ensured:
    home = group_location(session, request.resource_group)
    location = known_location(session, request.location) if request.location else home
    steps = steps_to(request.sharing, None)
    properties = _properties(request)
    if steps.profile is not None:
        properties["sharingProfile"] = steps.profile
    body = {"location": location, "tags": merged_tags({}, request.tags, True), "properties": properties}
    actions = [f"Created gallery {request.id}", *_said(steps.after)]
    if check_mode:
        foreseen = _foreseen({"id": request.id, "name": request.name, **body}, steps)
        return Ensured(True, foreseen, {}, comparable(foreseen), actions)
    session.arm.put(request.id, body, GALLERY_API, to_its_end(waiter) if steps.after else waiter)
    facts = _share_and_read(session, request, steps.after, waiter)
    return Ensured(True, facts, {}, comparable(facts), actions)


def _properties(request: GalleryRequest) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    if request.description is not None:
        properties["description"] = request.description
    if request.soft_delete is not None:
        properties["softDeletePolicy"] = {"isSoftDeleteEnabled": request.soft_delete}
    return properties


def _update(
    session: AzureSession,
    request: GalleryRequest,
    current: dict[str, Any],
    *,
    check_mode: bool,
    waiter: Waiter,
) -> Ensured:
    present = normalize_location(current["location"])
    if request.location and request.location != present:
        raise InvalidInput(
            f"location: gallery {request.name} is in {present}, not in {request.location}; Azure does not"
            " move it.",
            remedy="Leave location out, or give the gallery another name.",
        )
    steps = steps_to(request.sharing, current["properties"].get("sharingProfile") or {})
    body = _differences(request, current)
    if "softDeletePolicy" in body.get("properties", {}) and request.soft_delete:
        _check_one_location(session, request, present)
    if steps.profile is not None:
        body.setdefault("properties", {})["sharingProfile"] = steps.profile
    before = comparable(gallery_facts(current))
    if not body and not steps.before and not steps.after:
        facts = gallery_facts(current)
        return Ensured(False, facts, before, before)
    actions = [*_said(steps.before), *_changed(body, request), *_said(steps.after)]
    if check_mode:
        properties = {**current["properties"], **body.get("properties", {})}
        foreseen = _foreseen({**current, **body, "properties": properties}, steps)
        return Ensured(True, foreseen, before, comparable(foreseen), actions)
    for step in steps.before:
        _share(session, request, step, to_its_end(waiter))
    if body:
        session.arm.patch(request.id, body, GALLERY_API, to_its_end(waiter) if steps.after else waiter)
    facts = _share_and_read(session, request, steps.after, waiter)
    return Ensured(True, facts, before, comparable(facts), actions)


def _differences(request: GalleryRequest, current: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a PATCH with what differs, sharing apart; empty when nothing does."""
    body: dict[str, Any] = {}
    tags = merged_tags(current.get("tags"), request.tags, request.append_tags)
    if tags != (current.get("tags") or {}):
        body["tags"] = tags
    present = {"softDeletePolicy": {"isSoftDeleteEnabled": False}, **current["properties"]}
    properties = {
        name: value
        for name, value in _properties(request).items()
        if changes({name: present.get(name)}, {name: value})
    }
    return {**body, "properties": properties} if properties else body


def _changed(body: Mapping[str, Any], request: GalleryRequest) -> list[str]:
    words = {
        "tags": "tags",
        "description": "description",
        "softDeletePolicy": "soft delete",
        "sharingProfile": "permissions",
    }
    names = [words[name] for name in (*body, *body.get("properties", {})) if name in words]
    return [f"Changed {', '.join(names)} of gallery {request.id}"] if names else []


def _check_one_location(session: AzureSession, request: GalleryRequest, location: str) -> None:
    """Azure keeps deleted versions only in galleries whose definitions and versions are in one region."""
    definitions = session.arm.list(f"{request.id}/images", GALLERY_API)
    versions = in_parallel(
        lambda each: session.arm.list(f"{each['id']}/versions", GALLERY_API),
        definitions,
    )
    for nested in (*definitions, *(version for listed in versions for version in listed)):
        elsewhere = normalize_location(nested["location"])
        if elsewhere != location:
            raise InvalidInput(
                f"soft_delete: {nested['id']} is in {elsewhere}, gallery {request.name} in {location}; Azure"
                " keeps deleted versions only where all is in one region.",
                remedy="Leave soft_delete out for this gallery.",
            )


def _said(steps: Sequence[Share]) -> list[str]:
    return [step.said for step in steps]


def _share(session: AzureSession, request: GalleryRequest, step: Share, waiter: Waiter) -> None:
    session.arm.post(f"{request.id}/share", step.body(), GALLERY_API, waiter)


def _share_and_read(
    session: AzureSession, request: GalleryRequest, steps: Sequence[Share], waiter: Waiter
) -> dict[str, Any]:
    """Take the last steps; the facts of the gallery then."""
    for number, step in enumerate(steps, 1):
        _share(session, request, step, waiter if number == len(steps) else to_its_end(waiter))
    made = read_gallery(session, request.id)
    if made is None:
        raise NotFound(f"Gallery {request.name} was deleted by somebody else meanwhile.")
    return gallery_facts(made)


def _foreseen(gallery: Mapping[str, Any], steps: Steps) -> dict[str, Any]:
    return gallery_facts(
        {**gallery, "properties": {**gallery["properties"], "sharingProfile": steps.outcome}}
    )


def remove_gallery(
    session: AzureSession, request: GalleryRequest, *, check_mode: bool, waiter: Waiter
) -> Ensured:
    """Delete the gallery, which has to be empty."""
    try:
        current = read_gallery(session, request.id)
    except NotFound:
        current = None
    if current is None:
        return Ensured(False, None, {}, {})
    names = sorted(each["name"] for each in session.arm.list(f"{request.id}/images", GALLERY_API))
    if names:
        raise InvalidInput(
            f"Gallery {request.name} is not empty, it has the image definitions {first_of(names)}.",
            remedy="Delete these first, with their versions.",
        )
    if not check_mode:
        delete_emptied(session, request.id, waiter)
    return Ensured(True, None, comparable(gallery_facts(current)), {}, [f"Deleted gallery {request.id}"])


class Galleries:
    """All galleries of a group or the subscription, to be selected from."""

    def __init__(self, session: AzureSession) -> None:
        self._session = session

    def get(self, resource_group: str, name: str) -> dict[str, Any] | None:
        return read_gallery(self._session, gallery_id(self._session.subscription_id, resource_group, name))

    def list(self, resource_group: str | None = None) -> list[dict[str, Any]]:
        """Each is read by itself as well: lists do not say whom galleries are shared with."""
        group = f"/resourceGroups/{resource_group}" if resource_group else ""
        path = f"/subscriptions/{self._session.subscription_id}{group}/providers/Microsoft.Compute/galleries"
        listed = self._session.arm.list(path, GALLERY_API)
        read = in_parallel(lambda each: read_gallery(self._session, each["id"]), listed)
        return [gallery for gallery in read if gallery is not None]
