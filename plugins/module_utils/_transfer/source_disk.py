# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A disk file where it is: on the machine that leads the upload, or (`remote_disk`) on another host."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import Access
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import Transfer
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import Trust
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import OpenBlob, Sent
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal import Header, Held, Journal
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal_place import (
    find_journal,
    forget_journal,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import (
    Authorize,
    PageBlob,
    no_authorization,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Plan, make_plan
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.progress_file import ProgressFile
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.sending import (
    Planned,
    figures_of,
    ranges_at,
    send_and_verify,
    verify_ranges_at,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.source_facts import (
    SourceFacts,
    source_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.throttle import Throttle
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verification import verify_content


class Way(NamedTuple):
    """How a blob is reached: at which URL, with which Authorization header, under which lease."""

    access: Access
    authorize: Authorize = no_authorization
    lease: str | None = None


class SourceJournal(Protocol):
    """The journal of an upload of this disk into one target.

    `upload`: the id of the upload it was written by, None when it is new; `target`: what that wrote to;
    `is_of_source`: whether the disk's files are those it was written for, unchanged; `arrived`: whether it
    tells of anything that has arrived in this run.
    """

    @property
    def upload(self) -> str | None: ...

    @property
    def target(self) -> dict[str, Any]: ...

    @property
    def is_of_source(self) -> bool: ...

    @property
    def arrived(self) -> bool: ...

    def begin(self, upload: str, target: dict[str, Any]) -> bool:
        """Begin anew, for this upload; false where it cannot be written any more."""

    def remove(self) -> None:
        """There is nothing to go on with."""


class SourceDisk(Protocol):
    """A disk, and what has to be done where it is. Raises AzureError."""

    @property
    def facts(self) -> SourceFacts:
        """What is known of it before it is read."""

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, so that credentials need not leave it."""

    def journal(self, target: str) -> AbstractContextManager[SourceJournal | None]:
        """The journal of its upload into the target (an id or URL); None where there can be none."""

    def forget(self, target: str) -> None:
        """Remove the journal of an upload that was completed, if it is still there."""

    def plan(self, journal: SourceJournal | None = None, way: Way | None = None) -> Planned:
        """Read the disk to find what has to be sent.

        :param journal: tells what has been sent before
        :param way: to ask the service whether that is still there; without it, the journal is believed
        """

    def send(self, way: Way, journal: SourceJournal | None, *, goes_on: bool) -> tuple[Planned, Sent]:
        """Send the disk, and have the service say what was written, unless nothing is to be verified."""

    def verify(self, way: Way, *, content: bool) -> None:
        """Compare a finished disk or blob with this disk: its ranges, or its whole content."""


class LocalJournal:
    """A :class:`SourceJournal` on this machine, locked against other processes."""

    def __init__(self, reader: DiskReader, journal: Journal) -> None:
        self._reader = reader
        self.file = journal

    @property
    def upload(self) -> str | None:
        """See SourceJournal."""
        return self.file.upload

    @property
    def target(self) -> dict[str, Any]:
        """See SourceJournal."""
        return self.file.target

    @property
    def is_of_source(self) -> bool:
        """See SourceJournal."""
        return self.file.is_of(self._reader)

    @property
    def arrived(self) -> bool:
        """See SourceJournal."""
        return self.file.acknowledged_windows > 0

    def begin(self, upload: str, target: dict[str, Any]) -> bool:
        """See SourceJournal; false where the file system is full."""
        try:
            self.file.begin(Header(self._reader, upload, target))
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """See SourceJournal."""
        self.file.remove()


class LocalDisk:
    """A :class:`SourceDisk` on this machine; the reader stays the caller's."""

    is_here = True

    def __init__(
        self, reader: DiskReader, transfer: Transfer, progress: ProgressFile, *, boots: bool = False
    ) -> None:
        self._reader = reader
        self._transfer = transfer
        self._progress = progress
        self._sent: Plan | None = None
        self._throttle = Throttle(transfer.bandwidth_limit) if transfer.bandwidth_limit else None
        self._trust = Trust(transfer.verify_tls)
        with reported():
            self.facts = source_facts(reader, boots)

    @contextmanager
    def journal(self, target: str) -> Iterator[SourceJournal | None]:
        """See SourceDisk."""
        transfer = self._transfer
        file = None
        if transfer.resume:
            with reported():
                file = find_journal(self._reader, target, transfer.journal_dir, transfer.check_mode)
        try:
            yield None if file is None else LocalJournal(self._reader, file)
        finally:
            if file is not None:
                # A run that did not come to write anything leaves no file behind.
                if file.upload is None:
                    file.remove()
                file.close()

    def forget(self, target: str) -> None:
        """See SourceDisk."""
        if self._transfer.resume and not self._transfer.check_mode:
            forget_journal(self._reader, target, self._transfer.journal_dir)

    def plan(self, journal: SourceJournal | None = None, way: Way | None = None) -> Planned:
        """See SourceDisk."""
        held = None
        with reported():
            if journal is not None:
                held = self._held(journal, way)
            return figures_of(make_plan(self._reader, progress=self._progress.reading, holds=held))

    def _held(self, journal: SourceJournal, way: Way | None) -> Held:
        if not isinstance(journal, LocalJournal):
            raise TypeError("the journal of another disk")
        return Held(journal.file.marks(), None if way is None else ranges_at(self._opener(way)))

    def _opener(self, way: Way) -> OpenBlob:
        def open_blob(cancel: threading.Event) -> PageBlob:
            return PageBlob(
                way.access.url,
                self._trust.context_for(way.access.url),
                way.authorize,
                cancel,
                lease=way.lease,
                throttle=self._throttle,
                renew=way.access.renew,
            )

        return open_blob

    def send(self, way: Way, journal: SourceJournal | None, *, goes_on: bool) -> tuple[Planned, Sent]:
        """See SourceDisk."""
        with reported():
            plan, sent = send_and_verify(
                self._reader,
                self._opener(way),
                self._transfer.connections,
                self._progress.sending,
                verify=self._transfer.verify != "none",
                journal=journal.file if isinstance(journal, LocalJournal) else None,
                holds=self._held(journal, way) if goes_on and journal is not None else None,
            )
        self._sent = plan
        return figures_of(plan), sent

    def verify(self, way: Way, *, content: bool) -> None:
        """See SourceDisk."""
        with reported():
            # A disk is read once where that is possible.
            plan = self._sent or make_plan(self._reader, progress=self._progress.reading)
            if content:
                verify_content(plan, self._opener(way), self._transfer.connections)
            else:
                verify_ranges_at(plan, self._opener(way))
