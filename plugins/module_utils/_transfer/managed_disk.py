# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Upload a disk file into a managed disk.

The disk's tags tell what it holds, so that a second run sends nothing; until the upload is complete they tell
that it is not.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import (
    group_location,
    known_location,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import (
    DiskAccess,
    RenewedAccess,
    without_leftovers,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_request import (
    DEFAULT_SKU,
    DiskRequest,
    disk_facts,
    predicted_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.progress import ProgressFile
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.resuming import (
    Resumption,
    TakenOverError,
    resumption,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.sending import send_and_verify
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    CONTENT,
    NOTHING_SENT,
    UPLOAD,
    Transfer,
    Uploaded,
    sent_in_words,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import BlobUrl
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import (
    Plan,
    make_plan,
    rounded_size,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Ranges
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import data_bytes
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.throttle import Throttle
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verification import verify_content

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_IN_UPLOAD = ("ReadyToUpload", "ActiveUpload")
_QUIET = ("Unattached", "Attached", "Reserved")


class ManagedDiskUpload:
    """One upload, from the checks to the finished disk."""

    def __init__(
        self,
        session: AzureSession,
        reader: DiskReader,
        request: DiskRequest,
        transfer: Transfer,
        *,
        waiter: Waiter,
        progress: ProgressFile,
    ) -> None:
        self._session = session
        self._reader = reader
        self._request = request
        self._transfer = transfer
        self._waiter = waiter
        self._progress = progress
        self._size = rounded_size(reader.virtual_size) + FOOTER_SIZE
        self._disks = session.compute.disks
        self._access = DiskAccess(
            self._disks, request.resource_group, request.name, waiter, verify_tls=transfer.verify_tls
        )

    def run(self) -> Uploaded:
        """Bring the disk into the wanted state; bad input raises before any change."""
        request = self._request
        location = group_location(self._session, request.resource_group)
        if request.location is not None:
            location = known_location(self._session, request.location)
        current = self._disks.get(request.resource_group, request.name)
        if current is not None and _state(current) not in _IN_UPLOAD:
            plan = self._compared(current)
            if plan is not None:
                return self._update(current, plan)
        disk_id = resource_id(
            self._session.subscription_id,
            request.resource_group,
            "Microsoft.Compute",
            "disks",
            request.name,
        )
        with resumption(self._reader, disk_id.lower(), self._transfer) as earlier:
            return self._upload(current, location, disk_id, earlier)

    def _named(self) -> str:
        return f"Disk {self._request.name} in resource group {self._request.resource_group}"

    def _compared(self, current: Mapping[str, Any]) -> Plan | None:
        """The plan of the file if the disk is what is wanted; None if the disk may be replaced."""
        if _state(current) not in _QUIET:
            raise InvalidInput(
                f"{self._named()} exists and is in state {_state(current)}.",
                remedy="End the access to it (az disk revoke-access), or use another name.",
            )
        tags = current.get("tags") or {}
        reasons = self._request.differences(current, self._request.location)
        if CONTENT in tags:
            with reported():
                plan = make_plan(self._reader, progress=self._progress.reading)
            if tags[CONTENT] == plan.content_sha256 and not reasons:
                return plan
            if tags[CONTENT] != plan.content_sha256:
                reasons.insert(0, "its content is another")
        else:
            reasons.insert(0, "nobody knows what it holds")
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
        return None

    def _goes_on(self, current: Mapping[str, Any] | None, earlier: Resumption) -> bool:
        """Whether the disk is in the very upload that the journal tells of.

        An upload that may be somebody else's, or another process's, needs force.
        """
        if current is None or _state(current) not in _IN_UPLOAD:
            return False
        upload = (current.get("tags") or {}).get(UPLOAD)
        own = earlier.wrote(upload, _journaled(current))
        # Nobody writes yet to a disk that no access was granted to.
        unused = upload is not None and _state(current) == "ReadyToUpload"
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
        )

    def _facts(self, disk: Mapping[str, Any]) -> dict[str, Any]:
        return disk_facts(disk, self._request.resource_group)

    def _update(self, current: Mapping[str, Any], plan: Plan) -> Uploaded:
        """The content is there; tags and SKU may have to follow."""
        before = self._facts(current)
        tags = self._request.final_tags(current.get("tags"), plan)
        change: dict[str, Any] = {}
        actions = []
        if tags != before["tags"]:
            change["tags"] = tags
            actions.append(f"Changed the tags of disk {self._request.name}.")
        if self._request.sku is not None and self._request.sku != before["sku"]:
            change["sku"] = {"name": self._request.sku}
            actions.append(f"Changed the SKU of disk {self._request.name} to {self._request.sku}.")
        if not change:
            return Uploaded(False, before, before, before, plan, NOTHING_SENT, [], [])
        after = self._facts({**current, **change})
        if not self._transfer.check_mode:
            after = self._facts(
                self._disks.update(self._request.resource_group, self._request.name, change, self._waiter)
            )
        return Uploaded(True, after, before, after, plan, NOTHING_SENT, actions, [])

    def _upload(
        self, current: Mapping[str, Any] | None, location: str, disk_id: str, earlier: Resumption
    ) -> Uploaded:
        request = self._request
        goes_on = self._goes_on(current, earlier)
        body = request.body(location, self._size, uuid4().hex)
        before = None if current is None else self._facts(current)
        actions = []
        if current is not None and not goes_on:
            old = "half-uploaded disk" if _state(current) in _IN_UPLOAD else "disk"
            actions.append(f"Deleted the {old} {request.name}.")
        if self._transfer.check_mode:
            # What is there of an upload can only be asked for with access to it, which is a change.
            held = earlier.held(None) if goes_on else None
            with reported():
                plan = make_plan(self._reader, progress=self._progress.reading, holds=held)
            sent, after = NOTHING_SENT, predicted_facts(body, request, disk_id, plan)
        else:
            disk, plan, sent = self._create_and_send(body, current, earlier, goes_on)
            after = self._facts(disk)
        sku = body["sku"]["name"] or DEFAULT_SKU
        verb = f"Went on with disk {request.name}" if goes_on else f"Created disk {request.name}"
        actions.append(f"{verb} ({sku}, {location}) and {sent_in_words(plan)}.")
        return Uploaded(True, after, before, after, plan, sent, actions, [])

    def _remove(self, current: Mapping[str, Any]) -> None:
        request = self._request
        if _state(current) in _IN_UPLOAD:
            with reported():
                self._access.discard(current["properties"]["creationData"]["uploadSizeBytes"], None)
        else:
            self._disks.delete(request.resource_group, request.name, self._waiter)

    def _create_and_send(
        self,
        body: dict[str, Any],
        current: Mapping[str, Any] | None,
        earlier: Resumption,
        goes_on: bool,
    ) -> tuple[dict[str, Any], Plan, Sent]:
        request = self._request
        upload = body["tags"][UPLOAD]
        if goes_on and current is not None:
            upload = current["tags"][UPLOAD]
        elif current is not None:
            self._remove(current)
        what = f"{self._named()}, half uploaded,"
        with earlier.kept_or_discarded(goes_on, what, lambda: self._discarded(upload)), reported():
            if not goes_on:
                self._disks.put(request.resource_group, request.name, body, self._waiter)
                created = self._own(upload)
                if _state(created) != "ReadyToUpload":
                    raise self._taken_over()
                earlier.begin(upload, _journaled(created))
            access = RenewedAccess(self._granted)
            plan, sent = self._send(access, earlier, goes_on)
            self._own(upload)
            self._access.revoke()
            if self._transfer.verify == "full":
                self._verify_content(plan)
            tags = request.final_tags(body["tags"], plan)
            disk = self._disks.update(request.resource_group, request.name, {"tags": tags}, self._waiter)
        return disk, plan, sent

    def _verify_content(self, plan: Plan) -> None:
        """Read the finished disk back; access for writing is none for reading."""
        url = self._access.grant(plan.bytes_to_send, access="Read")
        try:
            verify_content(
                plan,
                lambda cancel: PageBlob(url, self._access.context, cancel=cancel),
                self._transfer.connections,
            )
        finally:
            self._access.revoke()

    def _granted(self) -> BlobUrl:
        return self._access.grant(data_bytes(self._reader), self._transfer.bandwidth_limit)

    def _own(self, upload: str) -> Mapping[str, Any]:
        """The disk, if it is still the one that this upload has created."""
        disk = self._disks.get(self._request.resource_group, self._request.name)
        if disk is None or (disk.get("tags") or {}).get(UPLOAD) != upload:
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
        if disk is not None and (disk.get("tags") or {}).get(UPLOAD) == upload:
            self._access.discard(self._size, None)

    def _send(self, access: RenewedAccess, earlier: Resumption, goes_on: bool) -> tuple[Plan, Sent]:
        throttle = Throttle(self._transfer.bandwidth_limit) if self._transfer.bandwidth_limit else None

        def open_blob(cancel: threading.Event) -> PageBlob:
            return PageBlob(
                access.url,
                self._access.context,
                cancel=cancel,
                throttle=throttle,
                renew=access.renew,
            )

        held = None
        if goes_on:
            blob = open_blob(threading.Event())
            try:
                held = earlier.held(Ranges(blob.page_ranges()))
            finally:
                blob.close()
        return send_and_verify(
            self._reader, open_blob, self._transfer, self._progress, journal=earlier.journal, holds=held
        )


def _state(disk: Mapping[str, Any]) -> Any:
    return disk["properties"].get("diskState")


def _journaled(disk: Mapping[str, Any]) -> dict[str, Any]:
    """What tells the disk from a later one of the same name."""
    return {"disk": str(disk["id"]).lower(), "unique_id": disk["properties"].get("uniqueId")}
