# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The steps of an upload that need the disk, each by itself, for a host that has the disk and nothing else.

Whoever leads the upload asks for one after the other. Between them, only the journal lasts.
"""

import contextlib
import os
import threading
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import (
    parse_blob_url,
    tls_context,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import OpenBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal import Header, Held, Journal
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal_place import (
    find_journal,
    forget_journal,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Holds, make_plan
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.progress_file import ProgressFile
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import Piece, Window
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.sending import (
    figures_of,
    ranges_at,
    send_and_verify,
    verify_ranges_at,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.source_facts import source_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.throttle import Throttle
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verification import verify_content


class Step:
    """One step, with the options of the module `disk_send`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self.journal: Optional[Journal] = None

    def run(self) -> Dict[str, Any]:
        """What the step found or did; DiskError and UploadError say what it could not."""
        steps: Dict[str, Callable[[DiskReader], Dict[str, Any]]] = {
            "look": self._look,
            "journal": self._journal,
            "begin": self._begin,
            "plan": self._plan,
            "send": self._send,
            "verify": self._verify,
            "forget": self._forget,
        }
        with open_disk(self._options["path"], self._options["allow_unpartitioned"]) as reader:
            return steps[self._options["step"]](reader)

    @property
    def arrived(self) -> bool:
        """Whether the journal tells of anything that the service has taken."""
        return self.journal is not None and self.journal.acknowledged_windows > 0

    def _look(self, reader: DiskReader) -> Dict[str, Any]:
        return dict(source_facts(reader, self._options["boots"])._asdict())

    @contextlib.contextmanager
    def _open_journal(self, reader: DiskReader, existing_only: bool) -> Iterator[Optional[Journal]]:
        options = self._options
        journal = find_journal(reader, options["target"], options["journal_dir"], existing_only)
        self.journal = journal
        try:
            yield journal
        finally:
            if journal is not None:
                # A step that did not come to write anything leaves no file behind.
                if journal.upload is None:
                    journal.remove()
                journal.close()

    def _journal(self, reader: DiskReader) -> Dict[str, Any]:
        with self._open_journal(reader, self._options["existing_only"]) as journal:
            if journal is None:
                return {"writable": False}
            return {
                "writable": True,
                "upload": journal.upload,
                "target": journal.target,
                "is_of_source": journal.is_of(reader),
            }

    def _begin(self, reader: DiskReader) -> Dict[str, Any]:
        with self._open_journal(reader, False) as journal:
            if journal is None:
                return {"writable": False}
            try:
                journal.begin(Header(reader, self._options["upload"], self._options["target_facts"]))
            except OSError:
                journal.remove()
                return {"writable": False}
            return {"writable": True}

    def _forget(self, reader: DiskReader) -> Dict[str, Any]:
        forget_journal(reader, self._options["target"], self._options["journal_dir"])
        return {}

    def _plan(self, reader: DiskReader) -> Dict[str, Any]:
        """With the id of an upload, also what its journal says has arrived."""
        with self._progress() as progress, self._held(reader) as held:
            plan = make_plan(reader, progress=progress.reading, holds=held)
        return dict(figures_of(plan)._asdict())

    @contextlib.contextmanager
    def _held(self, reader: DiskReader, open_blob: Optional[OpenBlob] = None) -> Iterator[Optional[Holds]]:
        """What the target has of the upload that is gone on with; None for one that is begun.

        The journal is open as long as that is asked for.
        """
        with contextlib.ExitStack() as stack:
            journal = None
            if self._options["upload"] is not None:
                journal = stack.enter_context(self._open_journal(reader, True))
            if journal is not None and journal.upload != self._options["upload"]:
                journal = self.journal = None
            if not self._options["goes_on"]:
                yield None
            elif journal is None:
                yield _nothing
            else:
                yield Held(journal.marks(), None if open_blob is None else ranges_at(open_blob))

    def _opener(self) -> OpenBlob:
        options = self._options
        url = parse_blob_url("{0}?{1}".format(options["url"], options["sas"]))
        context = tls_context(os.environ, options["verify_tls"])
        throttle = Throttle(options["bandwidth_limit"]) if options["bandwidth_limit"] else None

        def open_blob(cancel: threading.Event) -> PageBlob:
            return PageBlob(url, context, cancel=cancel, lease=options["lease"], throttle=throttle)

        return open_blob

    def _send(self, reader: DiskReader) -> Dict[str, Any]:
        options = self._options
        open_blob = self._opener()
        with self._progress() as progress, self._held(reader, open_blob) as held:
            plan, sent = send_and_verify(
                reader,
                open_blob,
                options["connections"],
                progress.sending,
                verify=options["verify"] != "none",
                journal=self.journal,
                holds=held,
            )
        found = dict(figures_of(plan)._asdict())
        found.update(sent._asdict())
        return found

    def _verify(self, reader: DiskReader) -> Dict[str, Any]:
        """Compare a finished disk or blob: its ranges, or with `verify` full its content."""
        open_blob = self._opener()
        with self._progress() as progress:
            plan = make_plan(reader, progress=progress.reading)
        if self._options["verify"] == "full":
            verify_content(plan, open_blob, self._options["connections"])
        else:
            verify_ranges_at(plan, open_blob)
        return {}

    @contextlib.contextmanager
    def _progress(self) -> Iterator[ProgressFile]:
        file = ProgressFile(self._options["progress_file"])
        try:
            yield file
        finally:
            file.close()


def _nothing(_window: Window, _pieces: List[Piece]) -> bool:
    """For a target of which nothing is known: everything is sent, and whatever else it has is cleared."""
    return False
