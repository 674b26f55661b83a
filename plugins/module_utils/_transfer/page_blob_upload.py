# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Upload a disk file into a page blob, as a fixed VHD.

The blob's metadata tells what it holds and whether it is complete, so that a second run sends nothing and a
half-uploaded blob is never taken for a disk. While it is written, a lease keeps everybody else off it.
"""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._image.disk_state import UPLOAD
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_state import (
    COMPLETE,
    STATE,
    UPLOADING,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import BlobTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import (
    Access,
    FixedAccess,
    RenewedAccess,
    without_leftovers,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.resuming import (
    Resumption,
    TakenOverError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    CONTENT,
    NOTHING_SENT,
    SIZE,
    Transfer,
    Uploaded,
    sent_in_words,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source_disk import SourceDisk, Way
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import Trust
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.lease import Lease
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import BlobFacts, PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import rounded_size
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.sending import Planned


class PageBlobUpload:
    """One upload, from the look at the blob that may be there to the complete one."""

    def __init__(self, disk: SourceDisk, target: BlobTarget, transfer: Transfer) -> None:
        self._disk = disk
        self._target = target
        self._transfer = transfer
        self._size = rounded_size(disk.facts.virtual_size) + FOOTER_SIZE
        # A SAS can be made anew; a credential needs none.
        renewable = target.granted is not None and target.url.query
        self._access: Access = FixedAccess(target.url)
        if target.granted is not None and renewable:
            self._access = RenewedAccess(target.granted, target.url)
        self._trust = Trust(transfer.verify_tls)

    def run(self) -> Uploaded:
        """Bring the blob into the wanted state; bad input raises before any change."""
        with reported():
            blob = self._open(threading.Event())
            try:
                return self._run(blob)
            finally:
                blob.close()

    def _open(self, cancel: threading.Event, lease: str | None = None) -> PageBlob:
        return PageBlob(
            self._access.url,
            self._trust.context_for(self._access.url),
            self._target.authorize,
            cancel,
            lease=lease,
            renew=self._access.renew,
        )

    def _way(self, lease: str | None = None) -> Way:
        """How the disk is sent: from another host by a SAS alone, as no credential leaves this machine."""
        target = self._target
        if self._disk.is_here or target.granted is None or target.url.query:
            return Way(self._access, target.authorize, lease)
        return Way(RenewedAccess(target.granted), lease=lease)

    def _run(self, blob: PageBlob) -> Uploaded:
        current = blob.facts()
        warnings = []
        if not self._target.url.path.lower().endswith(".vhd"):
            warnings.append("The blob's name does not end in .vhd; Azure makes no disk or image of it then.")
        before = None if current is None else self._facts(current.size, current.metadata)
        if current is not None and current.metadata.get(STATE) != UPLOADING:
            plan = self._compared(current)
            if plan is not None:
                # An earlier run may have been killed after it had completed the blob.
                self._disk.forget(str(self._target.url))
                facts = before or {}
                return Uploaded(False, facts, before, facts, plan, NOTHING_SENT, [], warnings)
        with self._disk.journal(str(self._target.url)) as journal:
            earlier = Resumption(journal)
            goes_on = self._goes_on(current, earlier)
            if self._transfer.check_mode:
                way = self._way() if self._disk.is_here else None
                plan = self._disk.plan(journal, way) if goes_on else self._disk.plan()
                sent = NOTHING_SENT
            else:
                self._end_other_lease(blob, current, goes_on)
                plan, sent = self._upload(blob, current, earlier, goes_on)
        after = self._facts(plan.blob_size, self._metadata(plan))
        verb = "Went on with" if goes_on else "Created" if current is None else "Replaced"
        sentence = f"{verb} page blob {after['name']} and {sent_in_words(plan)}."
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

    @staticmethod
    def _metadata(plan: Planned) -> dict[str, str]:
        return {CONTENT: plan.content_sha256, SIZE: str(plan.virtual_size), STATE: COMPLETE}

    def _compared(self, current: BlobFacts) -> Planned | None:
        """The plan of the disk if the blob holds it completely; None if the blob may be replaced."""
        metadata = current.metadata
        reason = "nobody knows what it holds"
        if CONTENT in metadata and current.kind == "PageBlob":
            plan = self._disk.plan()
            if (metadata.get(STATE), metadata[CONTENT], current.size) == (
                COMPLETE,
                plan.content_sha256,
                plan.blob_size,
            ):
                return plan
            reason = "its content is another"
        if not self._transfer.force:
            raise InvalidInput(
                f"The blob {self._target.url} exists and is not this disk: {reason}.",
                remedy="Use another name, or set force to true to replace the blob.",
            )
        return None

    def _goes_on(self, current: BlobFacts | None, earlier: Resumption) -> bool:
        """Whether the blob is the half of this very disk that the journal tells of."""
        if current is None:
            return False
        own = earlier.wrote(current.metadata.get(UPLOAD), self._journaled(current))
        half = current.metadata.get(STATE) == UPLOADING
        if current.leased and not own and not (half and self._transfer.force):
            raise InvalidInput(
                f"The blob {self._target.url} is leased: "
                + (
                    "another upload writes to it, or was killed less than a minute ago."
                    if half
                    else "something uses it, for instance a virtual machine as its disk."
                ),
                remedy="Wait until that has ended, or use another name.",
            )
        return own and half and earlier.is_of_source and current.size == self._size

    def _journaled(self, current: BlobFacts) -> dict[str, Any]:
        """What tells the blob from a later one of the same name."""
        return {"blob": str(self._target.url), "created": current.created}

    @staticmethod
    def _end_other_lease(blob: PageBlob, current: BlobFacts | None, goes_on: bool) -> None:
        if current is not None and current.leased and not goes_on:
            blob.break_lease()

    def _upload(
        self, blob: PageBlob, current: BlobFacts | None, earlier: Resumption, goes_on: bool
    ) -> tuple[Planned, Sent]:
        upload = uuid4().hex
        if goes_on and earlier.journal is not None:
            upload = earlier.journal.upload or upload
        lease = Lease(upload, self._open)
        what = f"The half-uploaded blob {self._target.url}"
        with earlier.kept_or_discarded(goes_on, what, lambda: self._discarded(upload)):
            if not goes_on:
                self._create(blob, upload, current)
            with lease:
                begun = self._own(blob, upload)
                if not goes_on:
                    earlier.begin(upload, self._journaled(begun))
                way = self._way(lease.id)
                plan, sent = self._disk.send(way, earlier.journal, goes_on=goes_on)
                if self._transfer.verify == "full":
                    self._disk.verify(way, content=True)
                self._own(blob, upload)
                self._finish(lease.id, plan)
        return plan, sent

    def _own(self, blob: PageBlob, upload: str) -> BlobFacts:
        found = blob.facts()
        if found is None or found.metadata.get(UPLOAD) != upload:
            raise TakenOverError(
                f"The blob {self._target.url} was replaced or removed while it was uploaded.",
                remedy="Make sure that nobody else writes to it, and run the task again.",
            )
        return found

    def _finish(self, lease: str, plan: Planned) -> None:
        blob = self._open(threading.Event(), lease)
        try:
            blob.set_metadata(self._metadata(plan))
        finally:
            blob.close()

    def _create(self, blob: PageBlob, upload: str, current: BlobFacts | None) -> None:
        metadata = {SIZE: str(self._size - FOOTER_SIZE), STATE: UPLOADING, UPLOAD: upload}
        try:
            blob.create(self._size, metadata, replace_etag=current.etag if current else None)
        except UploadError as error:
            # A request whose answer was lost is repeated, and then finds the blob it has created itself.
            repeated = error.code in ("BlobAlreadyExists", "ConditionNotMet")
            if not repeated or not _is_marked(blob, upload):
                raise

    def _discarded(self, upload: str) -> str | None:
        """Delete the blob if it is the one that this very run has created; what to say if that fails."""
        return without_leftovers(
            lambda: self._discard_own(upload), f"The blob {self._target.url}", "Remove it by hand."
        )

    def _discard_own(self, upload: str) -> None:
        blob = self._open(threading.Event())
        try:
            if _is_marked(blob, upload):
                blob.delete()
        finally:
            blob.close()


def _is_marked(blob: PageBlob, upload: str) -> bool:
    """Whether the blob is the one that the run with this id has created."""
    found = blob.facts()
    return found is not None and found.metadata.get(UPLOAD) == upload
