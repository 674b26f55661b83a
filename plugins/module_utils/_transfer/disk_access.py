# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Write access to a managed disk that waits for its upload, taken back on every way out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    FOOTER_SIZE,
    build_fixed_footer,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import (
    BlobUrl,
    Trust,
    parse_blob_url,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import ComputeResources

# Azure allows 60 days; an upload gets time for a slow line, 0.5 MB/s, and at least four hours.
_LONGEST_ACCESS = 5184000
_SHORTEST_ACCESS = 4 * 3600
_SLOWEST_LINE = 500_000


class DiskAccess:
    """One managed disk in upload. `resource_group` and `name` say which."""

    def __init__(
        self, disks: ComputeResources, resource_group: str, name: str, waiter: Waiter, *, verify_tls: bool
    ) -> None:
        self._disks = disks
        self._group = resource_group
        self._name = name
        self._waiter = waiter
        #: For the blob service.
        self.trust = Trust(verify_tls)

    def grant(
        self, bytes_to_move: int, bytes_per_second: int | None = None, *, access: str = "Write"
    ) -> BlobUrl:
        """Let the disk be written to or, with `access` "Read", be read; the URL holds the SAS."""
        pace = min(bytes_per_second or _SLOWEST_LINE, _SLOWEST_LINE)
        seconds = min(max(bytes_to_move // pace, _SHORTEST_ACCESS), _LONGEST_ACCESS)
        answer = self._disks.action(
            self._group,
            self._name,
            "beginGetAccess",
            {"access": access, "durationInSeconds": seconds},
            self._waiter,
        )
        sas = answer.get("accessSAS") if isinstance(answer, dict) else None
        if not sas:
            raise AzureError(f"Azure granted access to disk {self._name}, but did not say under which URL.")
        return parse_blob_url(str(sas))

    def revoke(self) -> None:
        """End the access; Azure checks the VHD footer then, and refuses to end it for a disk without one."""
        self._disks.action(self._group, self._name, "endGetAccess", None, self._waiter)

    def discard(
        self, upload_bytes: int, url: BlobUrl | None, before_closing: Callable[[], None] | None = None
    ) -> None:
        """End the access to a half-uploaded disk and delete it.

        Azure neither takes access back from a disk without a footer (InvalidVhd) nor deletes one with access
        granted, so such a disk gets a footer first.

        :param upload_bytes: the disk's uploadSizeBytes
        :param url: the granted access, if it is known
        :param before_closing: called before the footer is written, by which Azure takes the disk for whole
        """
        try:
            self.revoke()
        except AzureError as error:
            if error.code == "InvalidVhd":
                if before_closing is not None:
                    before_closing()
                self._close_with_footer(upload_bytes, url or self.grant(0))
        self._disks.delete(self._group, self._name, self._waiter)

    def _close_with_footer(self, upload_bytes: int, url: BlobUrl) -> None:
        size = upload_bytes - FOOTER_SIZE
        blob = PageBlob(url, self.trust.context_for(url))
        try:
            blob.put_pages(size, build_fixed_footer(size, uuid4().bytes))
        finally:
            blob.close()
        self.revoke()


class Access(Protocol):
    """The URL that requests to a blob use, with the SAS in it."""

    url: BlobUrl

    def renew(self, refused: BlobUrl) -> BlobUrl | None:
        """The URL to use in place of one whose SAS was refused; None when there is no other."""


class FixedAccess:
    """A URL that was given and cannot be renewed."""

    def __init__(self, url: BlobUrl) -> None:
        self.url = url

    def renew(self, refused: BlobUrl) -> None:
        """There is no other."""
        del refused


class RenewedAccess:
    """The URL that all connections of an upload use, renewed when its SAS has run out or was taken back.

    :param grant: gets a new one
    :param url: the first one, where it is there already
    """

    def __init__(self, grant: Callable[[], BlobUrl], url: BlobUrl | None = None) -> None:
        self._grant = grant
        self._lock = threading.Lock()
        self.url = grant() if url is None else url

    def renew(self, refused: BlobUrl) -> BlobUrl:
        """The URL to use in place of the refused one; one request for all the connections it failed for.

        Azure may extend the access it had given and answer with the same text, so that not the text tells
        whether a connection has seen the new one.
        """
        with self._lock:
            if refused is self.url:
                self.url = self._grant()
            return self.url


def without_leftovers(work: Callable[[], None], what: str, remedy: str) -> str | None:
    """Clean up after a failure; when that fails as well, the sentence that says what is left."""
    try:
        work()
    except (AzureError, UploadError) as error:
        return f"{what} could not be removed ({error}). {remedy}"
    return None
