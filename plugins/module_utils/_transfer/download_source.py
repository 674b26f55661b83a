# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a download reads: a page blob, a managed disk or snapshot, or a gallery image version."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    NotFound,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import BlobTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import (
    DiskAccess,
    RenewedAccess,
    without_leftovers,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_blob import SourceBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_engine import OpenSource
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import and_left, reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import CONTENT
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import tls_context
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import BlobFacts

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import ComputeResources
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

TEMPORARY = "goldenimage_temporary"
_COMPLETE = 100.0
_NOT_READABLE = {
    "ReadyToUpload": "it waits for its upload",
    "ActiveUpload": "an upload into it has not been completed",
}


class Opened(NamedTuple):
    """A source that can be read: what opens a connection to it, and the etag it has to keep, if any."""

    open_blob: OpenSource
    etag: str


class Source:
    """Something to download.

    Attributes: `kind`; `name` for messages; `identity`, which is another whenever the content is;
    `content_sha256`, what a tag or metadata says of the content, None without it.
    """

    kind = ""

    def __init__(self, name: str, identity: Mapping[str, Any], content_sha256: str | None) -> None:
        self.name = name
        self.identity = dict(identity)
        self.content_sha256 = content_sha256

    def facts(self) -> dict[str, Any]:
        """The returned value `source`."""
        return {"kind": self.kind, "id": self.identity["id"], "content_sha256": self.content_sha256}

    def check(self, *, resumed: bool) -> None:
        """Refuse what cannot be read; raises InvalidInput.

        :param resumed: whether an earlier run of this download has left its journal
        """

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """Get access, and give it back on every way out."""
        raise NotImplementedError
        yield


class BlobSource(Source):
    """A page blob that exists."""

    kind = "blob"

    def __init__(self, target: BlobTarget, facts: BlobFacts, *, verify_tls: bool) -> None:
        identity = {"id": str(target.url), "etag": facts.etag}
        super().__init__(f"The blob {target.url}", identity, facts.metadata.get(CONTENT))
        self._target = target
        self._facts = facts
        self._verify_tls = verify_tls

    def check(self, *, resumed: bool) -> None:
        del resumed
        if self._facts.kind != "PageBlob":
            raise InvalidInput(
                f"{self.name} is a {self._facts.kind}, and so no disk.",
                remedy="Give the name of a page blob that holds a VHD.",
            )

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        context = tls_context(os.environ, self._verify_tls)

        def open_blob(cancel: threading.Event) -> SourceBlob:
            return SourceBlob(self._target.url, context, self._target.authorize, cancel)

        yield Opened(open_blob, self._facts.etag)


def find_blob(target: BlobTarget, *, verify_tls: bool) -> BlobSource:
    """Look at a blob; raises NotFound when it is missing."""
    with reported():
        blob = SourceBlob(target.url, tls_context(os.environ, verify_tls), target.authorize)
        try:
            facts = blob.facts()
        finally:
            blob.close()
    if facts is None:
        raise NotFound(f"There is no blob {target.url}.", code="BlobNotFound", remedy="Correct its name.")
    return BlobSource(target, facts, verify_tls=verify_tls)


class DiskSource(Source):
    """A managed disk or a snapshot.

    :param collection: the session's disks or snapshots
    :param resource: the disk as Azure shows it
    """

    def __init__(
        self,
        collection: ComputeResources,
        kind: str,
        resource_group: str,
        resource: Mapping[str, Any],
        waiter: Waiter,
        *,
        verify_tls: bool,
    ) -> None:
        properties = resource.get("properties", {})
        self.kind = kind
        self._properties = properties
        self._owner = resource.get("managedBy")
        owned = properties.get("LastOwnershipUpdateTime") or properties.get("lastOwnershipUpdateTime")
        tags = resource.get("tags") or {}
        # A machine that the disk was attached to may have written to it.
        told = None if self._owner or owned else tags.get(CONTENT)
        identity = {
            "id": str(resource["id"]).lower(),
            "unique_id": properties.get("uniqueId"),
            "size": properties.get("diskSizeBytes"),
            "owner": self._owner,
            "owned": owned,
        }
        super().__init__(f"The {kind} {resource['name']} in resource group {resource_group}", identity, told)
        self._access = DiskAccess(
            collection, resource_group, str(resource["name"]), waiter, verify_tls=verify_tls
        )

    def check(self, *, resumed: bool) -> None:
        state = self._properties.get("diskState")
        if state in _NOT_READABLE:
            raise InvalidInput(f"{self.name} cannot be read: {_NOT_READABLE[state]}.")
        if state == "Attached":
            raise InvalidInput(
                f"{self.name} is attached to {self._owner}, which may be writing to it.",
                remedy="Deallocate the machine, or make a snapshot of the disk and download that.",
            )
        if state == "ActiveSAS" and not resumed:
            raise InvalidInput(
                f"{self.name} is being read by somebody else, whose access would end with this download.",
                remedy=f"Wait for it, or end it: az {self.kind} revoke-access --ids {self.identity['id']}",
            )
        done = self._properties.get("completionPercent")
        if done is not None and done < _COMPLETE:
            raise InvalidInput(
                f"{self.name} is still being copied ({done:g} %).", remedy="Wait until the copy is complete."
            )

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        access = RenewedAccess(
            lambda: self._access.grant(int(self._properties.get("diskSizeBytes") or 0), access="Read")
        )

        def open_blob(cancel: threading.Event) -> SourceBlob:
            return SourceBlob(access.url, self._access.context, cancel=cancel, renew=access.renew)

        with cleaned_up(self._access.revoke, f"The access to {self.name[0].lower()}{self.name[1:]}"):
            yield Opened(open_blob, "")


class VersionSource(Source):
    """A disk of a gallery image version: read from a temporary managed disk, as Azure gives no access to it.

    :param lun: of the data disk; None for the operating system disk
    :param resource_group: where the temporary disk is made
    :param path: the local file; two downloads of one version to two files do not share a disk
    """

    kind = "gallery image version"

    def __init__(
        self,
        session: AzureSession,
        version: Mapping[str, Any],
        waiter: Waiter,
        *,
        lun: int | None,
        resource_group: str,
        path: str,
        verify_tls: bool,
    ) -> None:
        properties = version.get("properties", {})
        identity = {
            "id": str(version["id"]).lower(),
            "lun": lun,
            "published": (properties.get("publishingProfile") or {}).get("publishedDate"),
        }
        super().__init__(f"The gallery image version {version['id']}", identity, None)
        self._session = session
        self._version = version
        self._lun = lun
        self._group = resource_group
        self._waiter = waiter
        self._verify_tls = verify_tls
        place = f"{identity['id']} {lun} {socket.gethostname()} {Path(path).absolute()}"
        self._disk_name = f"goldenimage-download-{hashlib.sha256(place.encode()).hexdigest()[:16]}"

    def check(self, *, resumed: bool) -> None:
        del resumed
        state = self._version["properties"].get("provisioningState")
        if state not in {"Succeeded", "Updating"}:
            raise InvalidInput(f"{self.name} cannot be read: its state is {state}.")
        storage = self._version["properties"].get("storageProfile") or {}
        luns = [disk.get("lun") for disk in storage.get("dataDiskImages") or []]
        if self._lun is not None and self._lun not in luns:
            known = ", ".join(map(str, luns)) or "none"
            raise InvalidInput(f"lun: {self.name} has no data disk {self._lun}; it has {known}.")

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        disks = self._session.compute.disks
        self._remove(disks)
        reference: dict[str, Any] = {"id": self._version["id"]}
        if self._lun is not None:
            reference["lun"] = self._lun
        body = {
            "location": self._version["location"],
            "sku": {"name": "Standard_LRS"},
            "tags": {TEMPORARY: "download"},
            "properties": {"creationData": {"createOption": "FromImage", "galleryImageReference": reference}},
        }
        with cleaned_up(lambda: self._remove(disks), f"The temporary disk {self._disk_name}"):
            made = disks.put(self._group, self._disk_name, body, self._waiter)
            disk = DiskSource(disks, "disk", self._group, made, self._waiter, verify_tls=self._verify_tls)
            with disk.opened() as opened:
                yield opened

    def _remove(self, disks: ComputeResources) -> None:
        """Delete the temporary disk if it is there; a killed run may have left it, with its access."""
        found = disks.get(self._group, self._disk_name)
        if found is None:
            return
        if TEMPORARY not in (found.get("tags") or {}):
            raise InvalidInput(f"There is a disk {self._disk_name} that is no temporary one of a download.")
        if found["properties"].get("diskState") == "ActiveSAS":
            disks.action(self._group, self._disk_name, "endGetAccess", None, self._waiter)
        disks.delete(self._group, self._disk_name, self._waiter)


@contextmanager
def cleaned_up(clean_up: Callable[[], None], what: str) -> Iterator[None]:
    """Run `clean_up` at the end; a failure of it is told together with the error that came before it."""
    try:
        yield
    except BaseException as error:
        left = without_leftovers(clean_up, what, "Remove it by hand.")
        if left is None:
            raise
        raise and_left(error, left) from None
    try:
        clean_up()
    except AzureError as error:
        raise and_left(error, f"{what} is left; remove it by hand.") from None
