# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Upload a disk file into a managed disk.

The disk's tags tell what it holds, so that a second run sends nothing; until the upload is complete they tell
that it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._image.disk_state import UPLOAD
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import (
    group_location,
    known_location,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import (
    DiskAccess,
    RenewedAccess,
    without_leftovers,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_checks import (
    check_sku_and_zone,
    encryption_type,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_request import (
    DEFAULT_SKU,
    SECURITY_API,
    DiskRequest,
    disk_facts,
    predicted_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.resuming import (
    Resumption,
    TakenOverError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    CONTENT,
    NOTHING_SENT,
    Transfer,
    Uploaded,
    sent_in_words,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source_disk import SourceDisk, Way
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import BlobUrl
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import rounded_size
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.sending import Planned

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_IN_UPLOAD = ("ReadyToUpload", "ActiveUpload")
_QUIET = ("Unattached", "Attached", "Reserved")
_READ_BY_SOMEBODY = "ActiveSAS"
# In place of the upload's id: what is left of it is being removed.
_DISCARDED = "discarded"
_STRANGE = (
    "it was uploaded by a run that has not marked it as complete, and on this host nothing is known of that"
    " run, or the disk file was changed since"
)


class ManagedDiskUpload:
    """One upload, from the checks to the finished disk."""

    def __init__(
        self,
        session: AzureSession,
        disk: SourceDisk,
        request: DiskRequest,
        transfer: Transfer,
        *,
        waiter: Waiter,
    ) -> None:
        self._session = session
        self._disk = disk
        self._request = request
        self._transfer = transfer
        self._waiter = waiter
        self._size = rounded_size(disk.facts.virtual_size) + FOOTER_SIZE
        compute = session.compute
        self._disks = compute.disks_of(SECURITY_API) if request.security_type else compute.disks
        self._access = DiskAccess(
            self._disks, request.resource_group, request.name, waiter, verify_tls=transfer.verify_tls
        )
        self._id = resource_id(
            session.subscription_id, request.resource_group, "Microsoft.Compute", "disks", request.name
        )

    def run(self) -> Uploaded:
        """Bring the disk into the wanted state; bad input raises before any change."""
        request = self._request
        location = group_location(self._session, request.resource_group)
        if request.location is not None:
            location = known_location(self._session, request.location)
        current = self._disks.get(request.resource_group, request.name)
        if current is not None and _state(current) not in _IN_UPLOAD:
            plan = self._unmarked(current) if _upload_of(current) else self._compared(current)
            if plan is not None:
                done = self._update(current, plan)
                # A run that was killed at its very end has left it.
                self._disk.forget(self._id.lower())
                return done
        encryption = self._checked(location)
        with self._disk.journal(self._id.lower()) as journal:
            body = request.body(location, self._size, uuid4().hex, encryption)
            return self._upload(current, body, Resumption(journal))

    def _checked(self, location: str) -> str | None:
        """What only Azure can tell of the settings of a new disk; the encryption type of its disks."""
        request = self._request
        if request.sku is not None or request.zone is not None:
            check_sku_and_zone(self._session, location, request.sku or DEFAULT_SKU, request.zone)
        if request.disk_encryption_set is None:
            return None
        return encryption_type(self._session, request.disk_encryption_set, location)

    def _named(self) -> str:
        return f"Disk {self._request.name} in resource group {self._request.resource_group}"

    def _compared(self, current: Mapping[str, Any]) -> Planned | None:
        """The plan of the file if the disk is what is wanted; None if the disk may be replaced."""
        self._check_quiet(current)
        tags = current.get("tags") or {}
        reasons = self._request.differences(current, self._request.location)
        if CONTENT in tags:
            plan = self._disk.plan()
            if tags[CONTENT] == plan.content_sha256 and not reasons:
                return plan
            if tags[CONTENT] != plan.content_sha256:
                reasons.insert(0, "its content is another")
        else:
            reasons.insert(0, "nobody knows what it holds")
        self._check_replaceable(current, reasons)
        return None

    def _check_quiet(self, current: Mapping[str, Any]) -> None:
        if _state(current) not in _QUIET:
            raise InvalidInput(
                f"{self._named()} exists and is in state {_state(current)}.",
                remedy="End the access to it (az disk revoke-access), or use another name.",
            )

    def _check_replaceable(self, current: Mapping[str, Any], reasons: list[str]) -> None:
        if not self._transfer.force:
            raise InvalidInput(
                f"{self._named()} exists and is not this disk: {'; '.join(reasons)}.",
                remedy="Use another name, or set force to true to replace the disk.",
            )
        if current.get("managedBy"):
            raise InvalidInput(
                f"{self._named()} is attached to {current['managedBy']}, so that it cannot be replaced.",
                remedy="Detach it first, or use another name.",
            )

    def _unmarked(self, current: Mapping[str, Any]) -> Planned | None:
        """As `_compared`, for a disk whose upload ended before its tags could say that it is complete.

        Azure has taken it for whole; whether it is this disk is asked of it once more.
        """
        upload = _upload_of(current)
        if upload == _DISCARDED and not current.get("managedBy"):
            self._check_quiet(current)
            return None
        with self._disk.journal(self._id.lower()) as journal:
            earlier = Resumption(journal)
            if earlier.wrote(upload, _journaled(current)) and earlier.is_of_source:
                reasons = self._request.differences(current, self._request.location)
                if not reasons:
                    return self._completed(current, earlier)
            else:
                reasons = [_STRANGE]
        self._check_quiet(current)
        self._check_replaceable(current, reasons)
        return None

    def _completed(self, current: Mapping[str, Any], earlier: Resumption) -> Planned:
        """The plan of a disk that the journal tells of, once that is known to be all there."""
        plan = self._disk.plan(earlier.journal)
        if self._transfer.check_mode:
            return plan
        if _state(current) == _READ_BY_SOMEBODY:
            # The earlier run was just reading it back.
            self._access.revoke()
        # Of what the journal does not tell, only the content can.
        content = self._transfer.verify == "full" or not plan.all_held
        if content or self._transfer.verify != "none":
            self._read_back(plan, content=content)
        return plan

    def _goes_on(self, current: Mapping[str, Any] | None, earlier: Resumption) -> bool:
        """Whether the disk is in the very upload that the journal tells of.

        An upload that may be somebody else's, or another process's, needs force.
        """
        if current is None or _state(current) not in _IN_UPLOAD:
            return False
        upload = _upload_of(current)
        own = earlier.wrote(upload, _journaled(current))
        # Nobody writes yet to a disk that no access was granted to.
        unused = upload == _DISCARDED or (upload is not None and _state(current) == "ReadyToUpload")
        if not own and not unused and not self._transfer.force:
            raise InvalidInput(
                f"{self._named()} exists and waits for an upload that "
                + (
                    "somebody else has begun."
                    if upload is None
                    else "another run has begun; on this host nothing is known of how far it came."
                ),
                remedy="Let that run end, use another name, or set force to true to replace the disk.",
            )
        return (
            own
            and earlier.is_of_source
            and current["properties"]["creationData"].get("uploadSizeBytes") == self._size
            and not self._request.differences(current, self._request.location)
            and not self._request.changes(current, None)
        )

    def _facts(self, disk: Mapping[str, Any]) -> dict[str, Any]:
        return disk_facts(disk, self._request.resource_group)

    def _update(self, current: Mapping[str, Any], plan: Planned) -> Uploaded:
        """The content is there; tags, SKU and encryption may have to follow."""
        request, before = self._request, self._facts(current)
        encryption = None
        if request.disk_encryption_set is not None and request.changes(current, None).get("properties"):
            encryption = encryption_type(self._session, request.disk_encryption_set, before["location"])
        change = request.changes(current, encryption)
        actions = []
        tags = request.final_tags(current.get("tags"), plan)
        if tags != before["tags"]:
            change["tags"] = tags
            actions.append(
                f"Marked disk {request.name} as complete; its upload had ended before it could."
                if UPLOAD in before["tags"]
                else f"Changed the tags of disk {request.name}."
            )
        if "sku" in change:
            actions.append(f"Changed the SKU of disk {request.name} to {request.sku}.")
        if "properties" in change:
            actions.append(f"Changed the disk encryption set of disk {request.name}.")
        if not change:
            return Uploaded(False, before, before, before, plan, NOTHING_SENT, [], [])
        properties = {**current["properties"], **change.get("properties", {})}
        after = self._facts({**current, **change, "properties": properties})
        if not self._transfer.check_mode:
            after = self._facts(
                self._disks.update(request.resource_group, request.name, change, self._waiter)
            )
        return Uploaded(True, after, before, after, plan, NOTHING_SENT, actions, [])

    def _upload(
        self, current: Mapping[str, Any] | None, body: dict[str, Any], earlier: Resumption
    ) -> Uploaded:
        request = self._request
        goes_on = self._goes_on(current, earlier)
        before = None if current is None else self._facts(current)
        actions = []
        if current is not None and not goes_on:
            old = "half-uploaded disk" if _state(current) in _IN_UPLOAD else "disk"
            actions.append(f"Deleted the {old} {request.name}.")
        if self._transfer.check_mode:
            # What is there of an upload can only be asked for with access to it, which is a change.
            plan = self._disk.plan(earlier.journal if goes_on else None)
            sent, after = NOTHING_SENT, predicted_facts(body, request, self._id, plan)
        else:
            disk, plan, sent = self._create_and_send(body, current, earlier, goes_on)
            after = self._facts(disk)
        verb = f"Went on with disk {request.name}" if goes_on else f"Created disk {request.name}"
        actions.append(f"{verb} ({body['sku']['name']}, {body['location']}) and {sent_in_words(plan)}.")
        return Uploaded(True, after, before, after, plan, sent, actions, [])

    def _remove(self, current: Mapping[str, Any]) -> None:
        request = self._request
        if _state(current) in _IN_UPLOAD:
            self._discard(current, current["properties"]["creationData"]["uploadSizeBytes"])
        else:
            self._disks.delete(request.resource_group, request.name, self._waiter)

    def _create_and_send(
        self,
        body: dict[str, Any],
        current: Mapping[str, Any] | None,
        earlier: Resumption,
        goes_on: bool,
    ) -> tuple[dict[str, Any], Planned, Sent]:
        request = self._request
        upload = body["tags"][UPLOAD]
        if goes_on and current is not None:
            upload = current["tags"][UPLOAD]
        elif current is not None:
            self._remove(current)
        what = f"{self._named()}, half uploaded,"
        with earlier.kept_or_discarded(goes_on, what, lambda: self._discarded(upload)):
            if not goes_on:
                self._disks.put(request.resource_group, request.name, body, self._waiter)
                created = self._own(upload)
                if _state(created) != "ReadyToUpload":
                    raise self._taken_over()
                earlier.begin(upload, _journaled(created))
            way = Way(RenewedAccess(self._granted))
            plan, sent = self._disk.send(way, earlier.journal, goes_on=goes_on)
            self._own(upload)
            self._access.revoke()
            # From here on the disk is whole, which only its journal knows until the tags say so, too.
            if self._transfer.verify == "full":
                self._read_back(plan, content=True)
            tags = request.final_tags(body["tags"], plan)
            disk = self._disks.update(request.resource_group, request.name, {"tags": tags}, self._waiter)
        return disk, plan, sent

    def _read_back(self, plan: Planned, *, content: bool) -> None:
        """Compare the finished disk; access for writing is none for reading."""
        way = Way(RenewedAccess(lambda: self._access.grant(plan.bytes_to_send, access="Read")))
        try:
            self._disk.verify(way, content=content)
        finally:
            self._access.revoke()

    def _granted(self) -> BlobUrl:
        return self._access.grant(self._disk.facts.data_bytes, self._transfer.bandwidth_limit)

    def _own(self, upload: str) -> Mapping[str, Any]:
        """The disk, if it is still the one that this upload has created."""
        disk = self._disks.get(self._request.resource_group, self._request.name)
        if disk is None or _upload_of(disk) != upload:
            raise self._taken_over()
        return disk

    def _taken_over(self) -> TakenOverError:
        return TakenOverError(
            f"{self._named()} was replaced or removed while it was uploaded.",
            remedy="Make sure that nobody else writes to it, and run the task again.",
        )

    def _discarded(self, upload: str) -> str | None:
        """Delete the disk if this very upload has created it; what to say if that fails."""
        request = self._request
        return without_leftovers(
            lambda: self._discard_own(upload),
            self._named(),
            f"Remove it: az disk delete -g {request.resource_group} -n {request.name}",
        )

    def _discard_own(self, upload: str) -> None:
        disk = self._disks.get(self._request.resource_group, self._request.name)
        if disk is not None and _upload_of(disk) == upload:
            self._discard(disk, self._size)

    def _discard(self, disk: Mapping[str, Any], upload_bytes: int) -> None:
        """Delete a disk that is not whole; killed at that, it leaves one that tells it is rubbish."""

        def mark() -> None:
            tags = {**(disk.get("tags") or {}), UPLOAD: _DISCARDED}
            with suppress(AzureError):
                self._disks.update(
                    self._request.resource_group, self._request.name, {"tags": tags}, self._waiter
                )

        with reported():
            self._access.discard(upload_bytes, None, mark)


def _state(disk: Mapping[str, Any]) -> Any:
    return disk["properties"].get("diskState")


def _upload_of(disk: Mapping[str, Any]) -> str | None:
    """The id of the upload that has not finished the disk; None for a finished one, or another's."""
    found = (disk.get("tags") or {}).get(UPLOAD)
    return None if found is None else str(found)


def _journaled(disk: Mapping[str, Any]) -> dict[str, Any]:
    """What tells the disk from a later one of the same name."""
    return {"disk": str(disk["id"]).lower(), "unique_id": disk["properties"].get("uniqueId")}
