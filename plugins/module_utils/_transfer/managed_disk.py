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
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import group_location
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import (
    DiskAccess,
    without_leftovers,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_request import (
    DEFAULT_SKU,
    DiskRequest,
    disk_facts,
    predicted_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import (
    and_left,
    reported,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.progress import ProgressFile
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.sending import send_and_verify
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    CONTENT,
    NOTHING_SENT,
    UPLOAD,
    Transfer,
    Uploaded,
    megabytes,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import BlobUrl
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Plan, make_plan

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_LOCATIONS_API = "2022-12-01"
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
        self._disks = session.compute.disks
        self._access = DiskAccess(
            self._disks, request.resource_group, request.name, waiter, verify_tls=transfer.verify_tls
        )

    def run(self) -> Uploaded:
        """Bring the disk into the wanted state; bad input raises before any change."""
        request = self._request
        location = group_location(self._session, request.resource_group)
        if request.location is not None:
            location = self._known_location(request.location)
        current = self._disks.get(request.resource_group, request.name)
        self._refuse_early(current)
        with reported():
            plan = make_plan(self._reader, progress=self._progress.reading)
        if current is not None and self._holds(current, plan):
            return self._update(current, plan)
        return self._upload(current, location, plan)

    def _known_location(self, wanted: str) -> str:
        """The region's name, after asking the subscription whether there is such a region."""
        path = f"/subscriptions/{self._session.subscription_id}/locations"
        known = {normalize_location(item["name"]) for item in self._session.arm.list(path, _LOCATIONS_API)}
        location = normalize_location(wanted)
        if known and location not in known:
            raise InvalidInput(
                f"location: the subscription has no region '{wanted}'.",
                remedy="List the regions with: az account list-locations --query [].name",
            )
        return location

    def _named(self) -> str:
        return f"Disk {self._request.name} in resource group {self._request.resource_group}"

    def _refuse_early(self, current: Mapping[str, Any] | None) -> None:
        """What needs no look at the content: disks in use, and uploads of somebody else."""
        if current is None:
            return
        state = current["properties"].get("diskState")
        if state in _IN_UPLOAD:
            if UPLOAD not in (current.get("tags") or {}) and not self._transfer.force:
                raise InvalidInput(
                    f"{self._named()} exists and waits for an upload that somebody else has begun.",
                    remedy="Use another name, or set force to true to replace the disk.",
                )
        elif state not in _QUIET:
            raise InvalidInput(
                f"{self._named()} exists and is in state {state}.",
                remedy="End the access to it (az disk revoke-access), or use another name.",
            )

    def _holds(self, current: Mapping[str, Any], plan: Plan) -> bool:
        """Whether the disk is what is wanted, so that nothing is to be sent; other content needs force."""
        tags = current.get("tags") or {}
        if current["properties"].get("diskState") in _IN_UPLOAD:
            return False
        reasons = self._request.differences(current, self._request.location)
        if tags.get(CONTENT) != plan.content_sha256:
            reasons.insert(0, "its content is another" if CONTENT in tags else "nobody knows what it holds")
        if not reasons:
            return True
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
        return False

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

    def _upload(self, current: Mapping[str, Any] | None, location: str, plan: Plan) -> Uploaded:
        request = self._request
        body = request.body(location, plan, uuid4().hex)
        before = None if current is None else self._facts(current)
        actions = []
        if current is not None:
            old = "half-uploaded disk" if before and before["disk_state"] in _IN_UPLOAD else "disk"
            actions.append(f"Deleted the {old} {request.name}.")
        actions.append(
            f"Created disk {request.name} ({body['sku']['name'] or DEFAULT_SKU}, {location}) and sent"
            f" {megabytes(plan.bytes_to_send)} in {plan.puts} requests."
        )
        if self._transfer.check_mode:
            disk_id = resource_id(
                self._session.subscription_id,
                request.resource_group,
                "Microsoft.Compute",
                "disks",
                request.name,
            )
            after = predicted_facts(body, request, disk_id, plan)
            return Uploaded(True, after, before, after, plan, NOTHING_SENT, actions, [])
        if current is not None:
            self._remove(current)
        disk, sent = self._create_and_send(body, plan)
        after = self._facts(disk)
        return Uploaded(True, after, before, after, plan, sent, actions, [])

    def _remove(self, current: Mapping[str, Any]) -> None:
        request = self._request
        properties = current["properties"]
        if properties.get("diskState") in _IN_UPLOAD:
            with reported():
                self._access.discard(properties["creationData"]["uploadSizeBytes"], None)
        else:
            self._disks.delete(request.resource_group, request.name, self._waiter)

    def _create_and_send(self, body: dict[str, Any], plan: Plan) -> tuple[dict[str, Any], Sent]:
        request = self._request
        url: BlobUrl | None = None
        try:
            self._disks.put(request.resource_group, request.name, body, self._waiter)
            with reported():
                url = self._access.grant(plan.bytes_to_send)
                sent = self._send(plan, url)
            self._access.revoke()
            tags = request.final_tags(body["tags"], plan)
            disk = self._disks.update(request.resource_group, request.name, {"tags": tags}, self._waiter)
        except BaseException as error:
            left = without_leftovers(
                lambda: self._discard_own(body, plan, url),
                self._named(),
                f"Remove it: az disk delete -g {request.resource_group} -n {request.name}",
            )
            if left is None:
                raise
            raise and_left(error, left) from None
        return disk, sent

    def _discard_own(self, body: Mapping[str, Any], plan: Plan, url: BlobUrl | None) -> None:
        """Delete the disk if it is the one that this very run has created."""
        disk = self._disks.get(self._request.resource_group, self._request.name)
        if disk is not None and (disk.get("tags") or {}).get(UPLOAD) == body["tags"][UPLOAD]:
            self._access.discard(plan.blob_size, url)

    def _send(self, plan: Plan, url: BlobUrl) -> Sent:
        context = self._access.context

        def open_blob(cancel: threading.Event) -> PageBlob:
            return PageBlob(url, context, cancel=cancel)

        return send_and_verify(self._reader, plan, open_blob, self._transfer, self._progress)
