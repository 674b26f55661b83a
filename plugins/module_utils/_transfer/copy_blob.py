# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A page blob that the service itself copies to (REST reference, "Copy Blob" and "Abort Copy Blob")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import BlobUrl
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob

PENDING, SUCCESS, ABORTED = "pending", "success", "aborted"
_METADATA = "x-ms-meta-"
# What the service says when the copy has begun already, by a request whose answer was lost.
BEGUN_ALREADY = ("BlobAlreadyExists", "ConditionNotMet", "PendingCopyOperation", "TargetConditionNotMet")


class CopyState(NamedTuple):
    """The last copy into a blob, as the service tells of it.

    `id` and `status` are empty where there was none; `copied` is in bytes; `description` says why it failed.
    """

    id: str
    status: str
    copied: int
    description: str


class CopyBlob(PageBlob):
    """See :class:`PageBlob`; not to be shared by threads."""

    def begin_copy(
        self,
        source: BlobUrl,
        metadata: Mapping[str, str],
        *,
        replace_etag: str | None = None,
        source_etag: str | None = None,
    ) -> None:
        """Have the service copy the source into this blob; it may go on long after this returns.

        :param source: with the SAS that permits to read it
        :param replace_etag: replace the blob that has this etag; without it a blob that exists is an error
        :param source_etag: what the source has to have still
        """
        headers = {"x-ms-copy-source": f"{source}?{source.query}" if source.query else str(source)}
        headers.update({"If-Match": replace_etag} if replace_etag else {"If-None-Match": "*"})
        if source_etag:
            headers["x-ms-source-if-match"] = source_etag
        headers.update({_METADATA + name: value for name, value in metadata.items()})
        self._call("PUT", "", headers, what=f"begin the copy of {source}")

    def copy_state(self) -> CopyState:
        """How far the last copy into this blob is; a missing blob raises UploadError."""
        told = self._call("HEAD", "", {}, what="look at the copy").headers
        copied = told.get("x-ms-copy-progress", "").partition("/")[0]
        return CopyState(
            id=told.get("x-ms-copy-id", ""),
            status=told.get("x-ms-copy-status", ""),
            copied=int(copied) if copied.isdigit() else 0,
            description=told.get("x-ms-copy-status-description", ""),
        )

    def abort_copy(self, copy_id: str) -> None:
        """End a pending copy; one that has ended already is no error."""
        headers = {"x-ms-copy-action": "abort"}
        query = f"comp=copy&copyid={copy_id}"
        self._call("PUT", query, headers, what="abort the copy", accept=(404, 409))
