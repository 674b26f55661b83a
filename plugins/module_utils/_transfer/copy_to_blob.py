# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Have the blob service copy a disk, a snapshot or a page blob into a page blob.

The copy's metadata tells of what it is and whether it is complete. A blob whose copy has failed, was aborted
or was not verified never counts as a disk, and a pending one is found again and waited for.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_state import (
    COMPLETE,
    COPYING,
    STATE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import BlobTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_blob import (
    ABORTED,
    BEGUN_ALREADY,
    PENDING,
    SUCCESS,
    CopyBlob,
    CopyState,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_result import (
    COPY_OF,
    Copied,
    CopyOptions,
    is_copy,
    marks_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_source import (
    BlobSource,
    ResourceSource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_verification import verify_copy
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_waiting import wait_for_copy
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import (
    DiskAccess,
    without_leftovers,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import and_left, reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import CONTENT, SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import BlobUrl
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.limits import MAX_PAGE_BLOB
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import BlobFacts

_NO_COPY = CopyState("", "", 0, "")
_PLACEHOLDER_SIZE = 512
_REFUSED, _BROKEN = 400, 500


class BlobCopy:
    """One copy into a page blob, from the look at what may be there to the complete one.

    :param access: to the source, when that is a disk or snapshot
    """

    def __init__(
        self,
        source: ResourceSource | BlobSource,
        target: BlobTarget,
        access: DiskAccess | None,
        options: CopyOptions,
        context: ssl.SSLContext,
    ) -> None:
        self._source = source
        self._access = access
        self._granted = False
        self._options = options
        self._context = context
        self._url = target.url
        self._blob = CopyBlob(target.url, context, target.authorize)
        self._size = source.virtual_size + FOOTER_SIZE
        self._marks = marks_of(source.identity, source.virtual_size, source.content_sha256)

    def run(self) -> Copied:
        """Bring the blob into the wanted state; bad input raises before any change."""
        with reported():
            try:
                return self._run()
            finally:
                self._blob.close()

    def _run(self) -> Copied:
        self._check()
        warnings = self._warnings()
        current = self._blob.facts()
        state = _NO_COPY if current is None else self._blob.copy_state()
        before = None if current is None else self._facts(current.size, current.metadata)
        if current is not None and self._is_complete(current, state):
            facts = before or {}
            return Copied(False, facts, facts, facts, [], warnings)
        goes_on = self._goes_on(current, state)
        if isinstance(self._source, ResourceSource):
            self._source.check_readable(resumed=current is not None and self._is_own(current))
        verb = "Went on with the copy of" if goes_on else "Copied"
        after = self._facts(self._size, {**self._marks, STATE: COMPLETE})
        if not self._options.check_mode:
            complete = self._copy(current, goes_on=goes_on)
            if not complete:
                verb, after = "Began to copy", self._facts(self._size, self._begun_marks())
        sentence = f"{verb} {self._source.name} to page blob {self._url}."
        return Copied(True, after, before, after, [sentence], warnings)

    def _check(self) -> None:
        if self._size > MAX_PAGE_BLOB:
            raise InvalidInput(
                f"source: {self._source.name} has {self._source.virtual_size} bytes, but a page blob has at"
                f" most {MAX_PAGE_BLOB} (8 TiB) with the VHD footer.",
                remedy="Copy it to a managed disk or a snapshot.",
            )
        if self._access is not None and not self._options.waiter.wait:
            raise InvalidInput(
                "wait: the access to a disk or snapshot has to be revoked at the end of its copy into a blob,"
                " so that it cannot be left to itself.",
                remedy="Leave wait out, or use async and poll for the task.",
            )
        if str(self._url) == self._source.id:
            raise InvalidInput("source: the blob would be copied to itself.", remedy="Name another target.")

    def _warnings(self) -> list[str]:
        warnings = []
        if not self._url.path.lower().endswith(".vhd"):
            warnings.append("The blob's name does not end in .vhd; Azure makes no disk or image of it then.")
        if isinstance(self._source, ResourceSource):
            security = (self._source.properties.get("securityProfile") or {}).get("securityType")
            if security:
                warnings.append(
                    f"The {self._source.name} has security type {security}: what its machine keeps outside of"
                    " the disk, such as a virtual TPM, is not in the blob."
                )
        return warnings

    def _facts(self, size: int, metadata: dict[str, str]) -> dict[str, Any]:
        return {
            "url": str(self._url),
            "name": self._url.path.rpartition("/")[2],
            "size": size,
            "state": metadata.get(STATE),
            "content_sha256": metadata.get(CONTENT),
        }

    def _is_own(self, current: BlobFacts) -> bool:
        metadata = current.metadata
        return metadata.get(COPY_OF) == self._source.identity and metadata.get(STATE) == COPYING

    def _is_complete(self, current: BlobFacts, state: CopyState) -> bool:
        return (
            current.kind == "PageBlob"
            and current.size == self._size
            and current.metadata.get(STATE) == COMPLETE
            and state.status in ("", SUCCESS)
            and is_copy(current.metadata, self._source.identity, self._source.content_sha256)
        )

    def _goes_on(self, current: BlobFacts | None, state: CopyState) -> bool:
        """Whether the blob is this very copy, pending or not verified yet; refuses what is something else."""
        if current is None:
            return False
        if self._is_own(current):
            return state.status in (PENDING, SUCCESS)
        if not self._options.force:
            reason = "somebody copies something else to it" if state.status == PENDING else "it is another"
            raise InvalidInput(
                f"The blob {self._url} exists and is not a copy of {self._source.name}: {reason}.",
                remedy="Use another name, or set force to true to replace the blob.",
            )
        if current.leased and state.status != PENDING:
            raise InvalidInput(
                f"The blob {self._url} is leased: something uses it, for instance a virtual machine as its"
                " disk, or an upload.",
                remedy="Wait until that has ended, or use another name.",
            )
        return False

    def _copy(self, current: BlobFacts | None, *, goes_on: bool) -> bool:
        """Begin it or go on with it; whether it is complete at the end."""
        try:
            replaced = None if goes_on else self._cleared(current)
            with self._access_ended(goes_on=goes_on):
                if goes_on:
                    # A new access could end the one by which a pending copy reads.
                    done = self._is_done()
                    url = self._readable() if done else self._url
                else:
                    url = self._readable()
                    self._begin(url, replaced)
                    done = self._is_done()
                if not done:
                    return False
                verify_copy(url, self._blob, self._size, self._context)
        except BaseException as error:
            left = self._given_up(error)
            if left is None:
                raise
            raise and_left(error, left) from None
        self._blob.set_metadata({**self._marks, STATE: COMPLETE})
        return True

    def _cleared(self, current: BlobFacts | None) -> str | None:
        """Make way for the copy; the etag of what it replaces, None for nothing.

        Before access to a disk is granted, a marked blob stands in the copy's place: by that a run after one
        that was killed knows whose the access is. A blob that holds something stays until the copy begins.
        """
        if current is not None:
            other = self._blob.copy_state()
            if other.status == PENDING:
                self._blob.abort_copy(other.id)
                current = self._blob.facts()
            elif not self._is_own(current):
                return current.etag
        if self._access is not None:
            etag = current.etag if current else None
            with self._unless(self._is_marked, ("BlobAlreadyExists", "ConditionNotMet")):
                self._blob.create(_PLACEHOLDER_SIZE, self._begun_marks(), replace_etag=etag)
            current = self._blob.facts()
        return current.etag if current else None

    def _begun_marks(self) -> dict[str, str]:
        return {COPY_OF: self._source.identity, SIZE: str(self._source.virtual_size), STATE: COPYING}

    def _is_marked(self) -> bool:
        found = self._blob.facts()
        return found is not None and self._is_own(found)

    def _has_begun(self) -> bool:
        return self._is_marked() and self._blob.copy_state().status in (PENDING, SUCCESS)

    @staticmethod
    @contextmanager
    def _unless(done: Callable[[], bool], codes: tuple[str, ...]) -> Iterator[None]:
        """A request whose answer was lost is repeated, and then finds what it has done itself."""
        try:
            yield
        except UploadError as error:
            if error.code not in codes or not done():
                raise

    def _begin(self, url: BlobUrl, replaced: str | None) -> None:
        etag = self._source.etag if isinstance(self._source, BlobSource) else None
        with self._unless(self._has_begun, BEGUN_ALREADY):
            self._blob.begin_copy(url, self._begun_marks(), replace_etag=replaced, source_etag=etag)

    def _readable(self) -> BlobUrl:
        """The URL to read the source by."""
        if isinstance(self._source, BlobSource):
            return self._source.url
        if self._access is None:
            raise ValueError("a disk is read by access that is granted to it")
        self._granted = True
        try:
            return self._access.grant(self._size, access="Read")
        except AzureError as error:
            # Anything but a refusal may have granted it.
            self._granted = not _REFUSED <= (error.status or 0) < _BROKEN
            raise

    @contextmanager
    def _access_ended(self, *, goes_on: bool) -> Iterator[None]:
        """Access to a disk, granted inside or by the run that is gone on with, ends on every way out."""
        access = self._access
        if access is None:
            yield
            return
        self._granted = goes_on
        try:
            yield
        except BaseException as error:
            if not self._granted:
                raise
            left = without_leftovers(
                access.revoke,
                f"The access to {self._source.name}",
                f"Revoke it: az {self._source.kind} revoke-access --ids {self._source.id}",
            )
            if left is None:
                raise
            raise and_left(error, left) from None
        access.revoke()

    def _is_done(self) -> bool:
        """Wait for the end of the copy, if that is asked for; whether it was reached. A failure raises."""
        waiter = self._options.waiter
        if waiter.wait:
            wait_for_copy(f"The copy of {self._source.name} to {self._url}", self._has_succeeded, waiter)
            return True
        return self._has_succeeded()

    def _has_succeeded(self) -> bool:
        state = self._blob.copy_state()
        self._options.report(state.copied, self._size)
        if state.status not in (PENDING, SUCCESS):
            how = "was aborted by somebody" if state.status == ABORTED else f"failed: {state.description}"
            raise AzureError(
                f"The copy of {self._source.name} to {self._url} {how}.",
                code="CopyFailed",
                remedy="See that nobody changes the source or ends access to it, and run the task again.",
            )
        return state.status == SUCCESS

    def _given_up(self, error: BaseException) -> str | None:
        """Remove what is not complete; what to say of what is left. The copy of a blob goes on by itself."""
        lasting = isinstance(self._source, BlobSource) and isinstance(error, KeyboardInterrupt | WaitTimeout)
        if lasting and self._has_begun():
            return "The copy goes on in Azure: run the task again to wait for it."
        return without_leftovers(
            self._remove, f"The incomplete copy {self._url}", "Remove it by hand, or run the task again."
        )

    def _remove(self) -> None:
        if not self._is_marked():
            return
        state = self._blob.copy_state()
        if state.status == PENDING:
            self._blob.abort_copy(state.id)
        self._blob.delete()
