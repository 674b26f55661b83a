# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Upload a disk file into a page blob, as a fixed VHD.

The blob's metadata tells what it holds and whether it is complete, so that a second run sends nothing and a
half-uploaded blob is never taken for a disk.
"""

from __future__ import annotations

import os
import threading
from typing import Any
from uuid import uuid4

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import BlobTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import without_leftovers
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import (
    and_left,
    reported,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.progress import ProgressFile
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.sending import send_and_verify
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    CONTENT,
    NOTHING_SENT,
    SIZE,
    UPLOAD,
    Transfer,
    Uploaded,
    megabytes,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import tls_context
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import BlobFacts, PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Plan, make_plan

STATE = "goldenimage_state"
COMPLETE, UPLOADING = "complete", "uploading"


class PageBlobUpload:
    """One upload, from the look at the blob that may be there to the complete one."""

    def __init__(
        self, reader: DiskReader, target: BlobTarget, transfer: Transfer, *, progress: ProgressFile
    ) -> None:
        self._reader = reader
        self._target = target
        self._transfer = transfer
        self._progress = progress
        with reported():
            self._context = tls_context(os.environ, transfer.verify_tls)

    def run(self) -> Uploaded:
        """Bring the blob into the wanted state; bad input raises before any change."""
        with reported():
            blob = self._open(threading.Event())
            try:
                return self._run(blob)
            finally:
                blob.close()

    def _open(self, cancel: threading.Event) -> PageBlob:
        return PageBlob(self._target.url, self._context, self._target.authorize, cancel)

    def _run(self, blob: PageBlob) -> Uploaded:
        current = blob.facts()
        plan = make_plan(self._reader, progress=self._progress.reading)
        warnings = []
        if not self._target.url.path.lower().endswith(".vhd"):
            warnings.append("The blob's name does not end in .vhd; Azure makes no disk or image of it then.")
        before = None if current is None else self._facts(current.size, current.metadata)
        if current is not None and self._holds(current, plan):
            facts = before or {}
            return Uploaded(False, facts, before, facts, plan, NOTHING_SENT, [], warnings)
        metadata = {CONTENT: plan.content_sha256, SIZE: str(plan.virtual_size), STATE: COMPLETE}
        after = self._facts(plan.blob_size, metadata)
        sentence = (
            f"{'Created' if current is None else 'Replaced'} page blob {after['name']} and sent"
            f" {megabytes(plan.bytes_to_send)} in {plan.puts} requests."
        )
        if self._transfer.check_mode:
            return Uploaded(True, after, before, after, plan, NOTHING_SENT, [sentence], warnings)
        sent = self._create_and_send(blob, plan, metadata, current)
        return Uploaded(True, after, before, after, plan, sent, [sentence], warnings)

    def _facts(self, size: int, metadata: dict[str, str]) -> dict[str, Any]:
        url = self._target.url
        return {
            "url": str(url),
            "name": url.path.rpartition("/")[2],
            "size": size,
            "state": metadata.get(STATE),
            "content_sha256": metadata.get(CONTENT),
        }

    def _holds(self, current: BlobFacts, plan: Plan) -> bool:
        """Whether the blob is what is wanted; one that is not needs force, unless it is half-uploaded."""
        metadata = current.metadata
        if metadata.get(STATE) == UPLOADING:
            return False
        same = (
            current.kind == "PageBlob"
            and metadata.get(STATE) == COMPLETE
            and metadata.get(CONTENT) == plan.content_sha256
            and current.size == plan.blob_size
        )
        if not same and not self._transfer.force:
            reason = "its content is another" if CONTENT in metadata else "nobody knows what it holds"
            raise InvalidInput(
                f"The blob {self._target.url} exists and is not this disk: {reason}.",
                remedy="Use another name, or set force to true to replace the blob.",
            )
        return same

    def _create_and_send(
        self, blob: PageBlob, plan: Plan, metadata: dict[str, str], current: BlobFacts | None
    ) -> Sent:
        mark = uuid4().hex
        try:
            begun = {**metadata, STATE: UPLOADING, UPLOAD: mark}
            self._create(blob, plan, begun, current)
            sent = send_and_verify(self._reader, plan, self._open, self._transfer, self._progress)
            if not _is_marked(blob, mark):
                raise UploadError(
                    f"The blob {self._target.url} was replaced or removed while it was uploaded;"
                    " make sure that nobody else writes to it, and run the task again"
                )
            blob.set_metadata(metadata)
        except BaseException as error:
            left = without_leftovers(
                lambda: self._discard_own(mark), f"The blob {self._target.url}", "Remove it by hand."
            )
            if left is None:
                raise
            raise and_left(error, left) from None
        return sent

    @staticmethod
    def _create(blob: PageBlob, plan: Plan, metadata: dict[str, str], current: BlobFacts | None) -> None:
        try:
            blob.create(plan.blob_size, metadata, replace_etag=current.etag if current else None)
        except UploadError as error:
            # A request whose answer was lost is repeated, and then finds the blob it has created itself.
            repeated = error.code in ("BlobAlreadyExists", "ConditionNotMet")
            if not repeated or not _is_marked(blob, metadata[UPLOAD]):
                raise

    def _discard_own(self, mark: str) -> None:
        """Delete the blob if it is the one that this very run has created."""
        blob = self._open(threading.Event())
        try:
            if _is_marked(blob, mark):
                blob.delete()
        finally:
            blob.close()


def _is_marked(blob: PageBlob, mark: str) -> bool:
    """Whether the blob is the one that the run with this mark has created."""
    found = blob.facts()
    return found is not None and found.metadata.get(UPLOAD) == mark
