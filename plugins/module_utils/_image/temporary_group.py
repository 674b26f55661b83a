# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A resource group that belongs to one build, with everything in it: made, gone on with, removed.

Everything is tagged by the request that makes it. The group is removed only while all that is in it carries
the build's tags too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.arm import is_absence
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import COMPUTE_API, DISK_API
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    NotFound,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    parse_resource_id,
    resource_group_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    Build,
    belongs_to,
    temporary_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import GROUPS_API
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_network import NETWORK_API

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# Versions of the API for the kinds of temporary resources, in the order in which they can go: each holds on
# to later ones.
KIND_APIS = {
    "microsoft.compute/virtualmachines": COMPUTE_API,
    "microsoft.compute/images": COMPUTE_API,
    "microsoft.network/networkinterfaces": NETWORK_API,
    "microsoft.compute/disks": DISK_API,
    "microsoft.compute/snapshots": DISK_API,
    "microsoft.compute/restorepointcollections": COMPUTE_API,
    "microsoft.compute/restorepointcollections/restorepoints": COMPUTE_API,
    "microsoft.network/publicipaddresses": NETWORK_API,
    "microsoft.network/networksecuritygroups": NETWORK_API,
    "microsoft.network/virtualnetworks": NETWORK_API,
}
# As long as such a signature is valid Azure deletes neither the disk nor the group it is in.
_READABLE_STATES = ("ActiveSAS", "ActiveSASFrozen", "ActiveUpload")
_MACHINE = "microsoft.compute/virtualmachines"
_UNTAGGED_KINDS = ("microsoft.compute/restorepointcollections/restorepoints",)


def api_of(kind_or_id: str) -> str:
    """The version of the API for a kind of resource or for a resource's id. KeyError for unknown kinds."""
    kind = parse_resource_id(kind_or_id).resource_type if kind_or_id.startswith("/") else kind_or_id
    return KIND_APIS[kind.casefold()]


def read_group(session: AzureSession, name: str) -> dict[str, Any] | None:
    """The resource group; None when there is none."""
    try:
        return session.arm.get(resource_group_id(session.subscription_id, name), GROUPS_API)
    except NotFound as error:
        if error.code == "ResourceGroupNotFound":
            return None
        raise


def resources_in(session: AzureSession, group_id: str) -> list[dict[str, Any]]:
    """What is in a group: id, name, type, location and tags of each."""
    return session.arm.list(f"{group_id}/resources", GROUPS_API)


def foreign_resources(
    session: AzureSession, resources: Iterable[Mapping[str, Any]], build_id: str
) -> list[str]:
    """Ids of what is not the build's, and of what is elsewhere and would be deleted with one of its machines.

    What is part of one of its resources, an extension of its machine for instance, is the build's too,
    whatever its tags.
    """
    listed = list(resources)
    own = [str(each["id"]).casefold() + "/" for each in listed if belongs_to(each, build_id)]
    foreign = [
        str(each["id"])
        for each in listed
        if not any((str(each["id"]).casefold() + "/").startswith(parent) for parent in own)
    ]
    return foreign + attached_elsewhere(session, listed)


def attached_elsewhere(session: AzureSession, resources: Iterable[Mapping[str, Any]]) -> list[str]:
    """Ids of disks and interfaces that Azure deletes with a machine among the resources, and that are not
    among them."""
    listed = list(resources)
    known = {str(each["id"]).casefold() for each in listed}
    machines = [each for each in listed if str(each["type"]).casefold() == _MACHINE]
    found: list[str] = []
    for machine in in_parallel(lambda each: session.arm.get(each["id"], COMPUTE_API), machines):
        properties = (machine or {}).get("properties") or {}
        storage = properties.get("storageProfile") or {}
        for disk in (storage.get("osDisk") or {}, *(storage.get("dataDisks") or [])):
            if disk.get("deleteOption") == "Delete":
                found.append(str((disk.get("managedDisk") or {}).get("id", "")))
        for interface in (properties.get("networkProfile") or {}).get("networkInterfaces") or []:
            if (interface.get("properties") or {}).get("deleteOption") == "Delete":
                found.append(str(interface["id"]))
    return [each for each in found if each and each.casefold() not in known]


def delete_group(session: AzureSession, group_id: str, waiter: Waiter) -> None:
    """Delete a group with all that is in it, and wait. Look first whether all of that may go."""
    in_parallel(lambda each: end_access(session, each, waiter), resources_in(session, group_id))
    session.arm.delete(group_id, GROUPS_API, waiter)


class TemporaryGroup:
    """The group ``name`` of the build ``build``, which works on ``source_id``.

    ``source_id`` None: of whatever source. ``purpose`` and ``tags`` (the user's own) are on everything.
    ``made`` gets the ids of what was made, in the order of completion.
    """

    def __init__(
        self,
        session: AzureSession,
        name: str,
        build: Build,
        source_id: str | None,
        *,
        purpose: str,
        tags: Mapping[str, str],
        waiter: Waiter,
    ) -> None:
        self.session = session
        self.name = name
        self.id = resource_group_id(session.subscription_id, name)
        self.build = build
        self.source_id = source_id
        self.tags = {**tags, **temporary_tags(build, purpose, source_id or "")}
        self.waiter = waiter
        self.made: list[str] = []
        self._fresh = False
        self._lock = threading.Lock()

    def resource(self, kind: str, *names: str) -> str:
        """Id of a resource in the group: resource("Microsoft.Compute/disks", "d")."""
        provider, _slash, types = kind.partition("/")
        pairs = [part for pair in zip(types.split("/"), names, strict=True) for part in pair]
        return resource_id(self.session.subscription_id, self.name, provider, *pairs)

    def find(self) -> dict[str, Any] | None:
        """The group as it is; None when there is none. Waits for the end of its removal.

        Raises InvalidInput when it is there and not of this build and source.
        """
        found = settled(
            f"Resource group {self.name}",
            read_group(self.session, self.name),
            lambda: read_group(self.session, self.name),
            self.waiter,
        )
        if found is not None and not belongs_to(found, self.build.id, self.source_id):
            made_for = f" for {self.source_id}" if self.source_id else ""
            raise InvalidInput(
                f"Resource group {self.name} exists and its tags do not say that build {self.build.id} made"
                f" it{made_for}.",
                remedy="Give another build_id, or another name for the group.",
            )
        return found

    @property
    def goes_on(self) -> bool:
        """Whether something may be there that an earlier run has made."""
        return not self._fresh

    @property
    def source_name(self) -> str:
        """The name of what the build works on."""
        return parse_resource_id(self.source_id).name if self.source_id else "the source"

    def create(self, location: str, existing: Mapping[str, Any] | None) -> None:
        """Make the group, or put its expiry off, which decides for all that is in it."""
        tags = merged_tags((existing or {}).get("tags"), self.tags, True)
        body = {"location": (existing or {}).get("location", location), "tags": tags}
        self.session.arm.put(self.id, body, GROUPS_API, self.waiter)
        self._fresh = existing is None
        if self._fresh:
            self._note(self.id)

    def ensure(
        self, wanted_id: str, body: Mapping[str, Any], more_tags: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The resource, made unless it is there; one whose creation failed is made anew.

        ``body`` is in wire shape and without tags; ``more_tags`` it gets beside the build's.
        """
        found = None if self._fresh else self.read(wanted_id)
        if found is not None and _state(found) == "failed":
            self.delete(wanted_id)
            found = None
        if found is not None:
            return found
        tags = {} if _kind(wanted_id) in _UNTAGGED_KINDS else {"tags": {**self.tags, **(more_tags or {})}}
        made = self.session.arm.put(wanted_id, {**body, **tags}, api_of(wanted_id), self.waiter)
        if _state(made) == "failed":
            raise OperationFailed(f"Azure made {wanted_id}, but its provisioning failed.", target=wanted_id)
        self._note(wanted_id)
        return made

    def read(self, wanted_id: str, **query: str) -> dict[str, Any] | None:
        """The resource, waited for while it is being made or changed; None when there is none.

        Raises InvalidInput when there is one that is not the build's.
        """

        def look() -> dict[str, Any] | None:
            try:
                return self.session.arm.get(wanted_id, api_of(wanted_id), **query)
            except NotFound as error:
                if is_absence(error) or error.code == "ResourceGroupNotFound":
                    return None
                raise

        found = settled(wanted_id, look(), look, self.waiter)
        tagged = _kind(wanted_id) not in _UNTAGGED_KINDS
        if found is not None and tagged and not belongs_to(found, self.build.id):
            raise InvalidInput(
                f"{wanted_id} is in the group of build {self.build.id} and does not carry its tags.",
                remedy="Find out who made it; give another build_id to leave it alone.",
            )
        return found

    def delete(self, wanted_id: str) -> None:
        """Delete one of the group's resources."""
        self.session.arm.delete(wanted_id, api_of(wanted_id), self.waiter)

    def _note(self, made_id: str) -> None:
        with self._lock:
            self.made.append(made_id)

    def check_own(self) -> list[str]:
        """Ids of what is in the group. Raises InvalidInput when something of it is not the build's."""
        contents = resources_in(self.session, self.id)
        foreign = foreign_resources(self.session, contents, self.build.id)
        if foreign:
            raise InvalidInput(
                f"Resource group {self.name} is not removed: with it would go what build {self.build.id} did"
                f" not make ({', '.join(foreign)}).",
                remedy="Move, detach or remove that first.",
            )
        return sorted(str(each["id"]) for each in contents)

    def remove(self) -> None:
        """Delete the group with all that is in it, and wait; it must hold nothing but the build's."""
        self.check_own()
        delete_group(self.session, self.id, self.waiter)


def end_access(session: AzureSession, listed: Mapping[str, Any], waiter: Waiter) -> None:
    """Take back a disk's or snapshot's shared access signature, without which it cannot be deleted."""
    kind = str(listed["type"]).casefold()
    if kind not in ("microsoft.compute/disks", "microsoft.compute/snapshots"):
        return
    try:
        found = session.arm.get(listed["id"], DISK_API)
    except NotFound:
        return
    if ((found or {}).get("properties") or {}).get("diskState") not in _READABLE_STATES:
        return
    try:
        session.arm.post(f"{listed['id']}/endGetAccess", None, DISK_API, waiter)
    except AzureError as error:
        # The end of an upload is refused where the content is no VHD; the disk can be deleted all the same.
        if error.code not in ("InvalidVhd", "InvalidParameter"):
            raise


def _state(resource: Mapping[str, Any]) -> str:
    return str((resource.get("properties") or {}).get("provisioningState", "")).casefold()


def _kind(resource_id_text: str) -> str:
    return parse_resource_id(resource_id_text).resource_type.casefold()
