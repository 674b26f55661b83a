# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Where the journal of an upload is, and what becomes of an upload that ends early."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import and_left, reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import Transfer
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal import (
    Header,
    Held,
    Journal,
    open_journal,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Ranges
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verification import CONTENT_DIFFERS

_LONGEST_NAME = 200


class TakenOverError(AzureError):
    """The target is somebody else's by now: it must be neither kept nor removed."""


class Resumption:
    """The journal of an upload of this disk into this target, if there can be one."""

    def __init__(self, reader: DiskReader, journal: Journal | None) -> None:
        self._reader = reader
        self.journal = journal

    def wrote(self, upload: str | None, target: dict[str, Any]) -> bool:
        """Whether the upload with this id into this target is the journal's."""
        journal = self.journal
        if journal is None or upload is None:
            return False
        return journal.upload == upload and journal.target == target

    @property
    def is_of_source(self) -> bool:
        """Whether the disk's files are those of the journal, unchanged."""
        return self.journal is not None and self.journal.is_of(self._reader)

    def held(self, ranges: Ranges | None) -> Held:
        """What of the disk the target has.

        :param ranges: what is written there by the service's word; None believes the journal alone
        """
        if self.journal is None:
            raise ValueError("there is nothing to go on with")
        return Held(self.journal.marks(), ranges)

    def begin(self, upload: str, target: dict[str, Any]) -> None:
        """Start the journal of a new upload; without it where its file system is full."""
        if self.journal is None:
            return
        try:
            self.journal.begin(Header(self._reader, upload, target))
        except OSError:
            self.forget()

    def forget(self) -> None:
        """The journal is of no use any more."""
        if self.journal is not None:
            self.journal.remove()
            self.journal = None

    @contextmanager
    def kept_or_discarded(
        self, goes_on: bool, what: str, discard: Callable[[], str | None]
    ) -> Iterator[None]:
        """What becomes of the target when the work inside fails.

        Kept for another run, if that need not send all again; else discarded.

        :param goes_on: whether the journal is that of an earlier run
        :param what: the target, as a sentence begins with it
        :param discard: removes the target; returns a sentence when that fails
        """
        try:
            yield
        except TakenOverError:
            self.forget()
            raise
        except BaseException as error:
            arrived = self.journal is not None and (goes_on or self.journal.acknowledged_windows > 0)
            # What the journal tells is wrong then.
            refuted = (
                isinstance(error, DiskError | InvalidInput) or getattr(error, "code", None) == CONTENT_DIFFERS
            )
            if arrived and not refuted:
                raise and_left(error, f"{what} was kept: run the task again to go on with it.") from None
            self.forget()
            left = discard()
            if left is None:
                raise
            raise and_left(error, left) from None
        self.forget()


@contextmanager
def resumption(reader: DiskReader, target: str, transfer: Transfer) -> Iterator[Resumption]:
    """The upload's journal, locked; one that another process works with raises AzureError.

    :param target: the id or URL of what is uploaded to
    """
    with reported():
        journal = _open(reader, target, transfer)
    try:
        yield Resumption(reader, journal)
    finally:
        if journal is not None:
            # A run that did not come to write anything leaves no file behind.
            if journal.upload is None:
                journal.remove()
            journal.close()


def _open(reader: DiskReader, target: str, transfer: Transfer) -> Journal | None:
    source = Path(reader.path).resolve()
    # A device has no folder in which files last.
    if not transfer.resume or (transfer.journal_dir is None and source.is_block_device()):
        return None
    folder = source.parent if transfer.journal_dir is None else Path(transfer.journal_dir)
    key = hashlib.sha256(f"{source}\n{target}".encode()).hexdigest()[:16]
    path = folder / f".{source.name[:_LONGEST_NAME]}.{key}.upload"
    if transfer.check_mode and not path.exists():
        return None
    journal = open_journal(str(path))
    if journal is None and transfer.journal_dir is not None:
        raise InvalidInput(
            f"journal_dir: no file can be written in {folder}.",
            remedy="Name a folder that exists and can be written to.",
        )
    return journal
