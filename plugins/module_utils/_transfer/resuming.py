# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What becomes of an upload that ends early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import and_left
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source_disk import SourceJournal
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verification import CONTENT_DIFFERS


class TakenOverError(AzureError):
    """The target is somebody else's by now: it must be neither kept nor removed."""


class Resumption:
    """The journal of an upload of this disk into this target, if there can be one."""

    def __init__(self, journal: SourceJournal | None) -> None:
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
        return self.journal is not None and self.journal.is_of_source

    def begin(self, upload: str, target: dict[str, Any]) -> None:
        """Start the journal of a new upload; without it where it cannot be written."""
        if self.journal is not None and not self.journal.begin(upload, target):
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
            arrived = self.journal is not None and (goes_on or self.journal.arrived)
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
