# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a download reads: a page blob, a managed disk or snapshot, or a gallery image version."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    NotFound,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    TRANSFER_HOURS,
    belongs_to,
    build_id_of,
    new_build,
    temporary_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._image.disk_state import (
    check_access,
    check_content,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_state import check_state
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import BlobTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import (
    DiskAccess,
    RenewedAccess,
    without_leftovers,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_blob import (
    SourceBlob,
    read_footer,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_engine import OpenSource
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import and_left
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    CONTENT,
    attached_at,
    known_content,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import (
    BlobUrl,
    Trust,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import BlobFacts

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import ComputeResources
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


class Way(NamedTuple):
    """How a source is reached.

    `waiter`: how long Azure's operations may take; `verify_tls`: False leaves certificates unchecked;
    `bandwidth_limit`: bytes per second, None for no limit.
    """

    waiter: Waiter
    verify_tls: bool
    bandwidth_limit: int | None


class Opened(NamedTuple):
    """A source that can be read: what opens a connection to it, and the etag it has to keep, if any."""

    open_blob: OpenSource
    etag: str


class Source(ABC):
    """Something to download.

    Attributes: `kind`; `name` for messages; `identity`, which is another whenever the content is;
    `content_sha256`, what a tag or metadata says of the content, None without it; `virtual_size` in bytes,
    None as long as only access would tell it.
    """

    kind = ""

    def __init__(
        self,
        name: str,
        identity: Mapping[str, Any],
        content_sha256: str | None,
        virtual_size: int | None,
    ) -> None:
        self.name = name
        self.identity = dict(identity)
        self.content_sha256 = content_sha256
        self.virtual_size = virtual_size

    def facts(self) -> dict[str, Any]:
        """The returned value `source`."""
        return {"kind": self.kind, "id": self.identity["id"], "content_sha256": self.content_sha256}

    @abstractmethod
    def check(self, *, resumed: bool) -> None:
        """Refuse what cannot be read; raises InvalidInput.

        :param resumed: whether an earlier run of this download has left its journal
        """

    @abstractmethod
    def opened(self) -> AbstractContextManager[Opened]:
        """Get access, and give it back on every way out."""


class BlobSource(Source):
    """A page blob that exists."""

    kind = "blob"

    def __init__(self, target: BlobTarget, facts: BlobFacts, trust: Trust) -> None:
        identity = {"id": str(target.url), "etag": facts.etag}
        told = facts.metadata.get(CONTENT)
        super().__init__(f"The blob {target.url}", identity, told, facts.size - FOOTER_SIZE)
        self._target = target
        self._facts = facts
        self._trust = trust

    def check(self, *, resumed: bool) -> None:
        del resumed
        if self._facts.kind != "PageBlob":
            raise InvalidInput(
                f"{self.name} is a {self._facts.kind}, and so no disk.",
                remedy="Give the name of a page blob that holds a VHD.",
            )
        check_state(self.name, self._facts.metadata)
        blob = self._open(threading.Event())
        try:
            read_footer(blob, self.name, self._facts.size, self._facts.etag)
        finally:
            blob.close()

    def _open(self, cancel: threading.Event) -> SourceBlob:
        return _blob_at(self._target, self._trust, cancel)

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        yield Opened(self._open, self._facts.etag)


def _blob_at(target: BlobTarget, trust: Trust, cancel: threading.Event | None = None) -> SourceBlob:
    return SourceBlob(target.url, trust.context_for(target.url), target.authorize, cancel)


def find_blob(target: BlobTarget, way: Way) -> BlobSource:
    """Look at a blob; raises NotFound when it is missing, UploadError when it may not be looked at."""
    trust = Trust(way.verify_tls)
    blob = _blob_at(target, trust)
    try:
        facts = blob.facts()
    finally:
        blob.close()
    if facts is None:
        raise NotFound(f"There is no blob {target.url}.", code="BlobNotFound", remedy="Correct its name.")
    return BlobSource(target, facts, trust)


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
        way: Way,
    ) -> None:
        properties = resource.get("properties", {})
        self.kind = kind
        self._pace = way.bandwidth_limit
        self._resource = resource
        identity = {
            "id": str(resource["id"]).lower(),
            "unique_id": properties.get("uniqueId"),
            "size": properties.get("diskSizeBytes"),
            "owner": resource.get("managedBy"),
            "owned": attached_at(resource),
        }
        name = f"The {kind} {resource['name']} in resource group {resource_group}"
        super().__init__(name, identity, known_content(resource), properties.get("diskSizeBytes"))
        self._granted = self._refused = False
        self._access = DiskAccess(
            collection, resource_group, str(resource["name"]), way.waiter, verify_tls=way.verify_tls
        )

    def check(self, *, resumed: bool) -> None:
        check_content(self.name, self._resource)
        check_access(self.name, self.kind, self._resource, own=resumed)

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        with cleaned_up(self._give_back, f"The access to {self.name[0].lower()}{self.name[1:]}"):
            access = RenewedAccess(self._grant)

            def open_blob(cancel: threading.Event) -> SourceBlob:
                context = self._access.trust.context_for(access.url)
                return SourceBlob(access.url, context, cancel=cancel, renew=access.renew)

            yield Opened(open_blob, "")

    def _grant(self) -> BlobUrl:
        try:
            url = self._access.grant(self.virtual_size or 0, self._pace, access="Read")
        except AzureError as error:
            said_no = isinstance(error, OperationFailed) or 400 <= (error.status or 0) < 500
            # Then there is no access, or it is somebody else's.
            self._refused = said_no and not self._granted
            raise
        self._granted = True
        return url

    def _give_back(self) -> None:
        """End the access, also one that was asked for when the run was interrupted."""
        if not self._refused:
            self._access.revoke()


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
        way: Way,
        *,
        lun: int | None,
        resource_group: str,
        path: str,
    ) -> None:
        properties = version.get("properties", {})
        identity = {
            "id": str(version["id"]).lower(),
            "lun": lun,
            "published": (properties.get("publishingProfile") or {}).get("publishedDate"),
        }
        super().__init__(f"The gallery image version {version['id']}", identity, None, None)
        self._session = session
        self._version = version
        self._lun = lun
        self._group = resource_group
        self._way = way
        self._build = build_id_of(f"{identity['id']} {lun} {socket.gethostname()} {Path(path).absolute()}")
        self._disk_name = f"goldenimage-download-{self._build}"

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
        build = new_build(self._build, TRANSFER_HOURS, datetime.now(timezone.utc))
        body = {
            "location": self._version["location"],
            "sku": {"name": "Standard_LRS"},
            "tags": temporary_tags(build, "disk_download", self._version["id"]),
            "properties": {"creationData": {"createOption": "FromImage", "galleryImageReference": reference}},
        }
        with cleaned_up(lambda: self._remove(disks), f"The temporary disk {self._disk_name}"):
            made = disks.put(self._group, self._disk_name, body, self._way.waiter)
            disk = DiskSource(disks, "disk", self._group, made, self._way)
            with disk.opened() as opened:
                yield opened

    def _remove(self, disks: ComputeResources) -> None:
        """Delete the temporary disk if it is there; a killed run may have left it, with its access."""
        found = disks.get(self._group, self._disk_name)
        if found is None:
            return
        if not belongs_to(found, self._build):
            raise InvalidInput(f"There is a disk {self._disk_name} that is no temporary one of a download.")
        if found["properties"].get("diskState") == "ActiveSAS":
            disks.action(self._group, self._disk_name, "endGetAccess", None, self._way.waiter)
        disks.delete(self._group, self._disk_name, self._way.waiter)


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
