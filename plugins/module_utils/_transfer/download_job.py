# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The module disk_download's work, from its options to the finished file."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers import (
    BLOCK,
    DiskWriter,
    FixedVhdWriter,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers_qcow2 import Qcow2Writer
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.common_options import (
    check_pace,
    checks_certificates,
    waiter_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_blob import read_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_check import check_content
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_engine import (
    Fetched,
    fetch,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_file import (
    Content,
    LocalFile,
    format_of,
    open_written,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_journal import (
    DownloadJournal,
    is_journal_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_pieces import Pieces
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_source import (
    Opened,
    Source,
    Way,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_sources import SourceFinder
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.interruption import interruptible
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.progress_file import ProgressFile
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.throttle import Throttle

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_INTERRUPTED = "The download was interrupted; the next run goes on with what has arrived."
# What the service's refusals mean for somebody who only reads.
_REMEDIES = {
    "AuthorizationPermissionMismatch": "Give the signed-in identity the role Storage Blob Data Reader, or the"
    " SAS the permission read.",
    "ConditionNotMet": "The blob was written to during its download; run the task again when nothing does.",
}


class _Done(NamedTuple):
    content: Content
    fetched: Fetched


class DownloadJob:
    """One run of the module. Making one checks everything that needs no request; raises InvalidInput."""

    def __init__(self, options: Mapping[str, Any], *, check_mode: bool) -> None:
        self._options = options
        self._check_mode = check_mode
        check_pace(options)
        waiter = waiter_of(options)
        self._local = LocalFile(options["path"], format_of(options["path"], options["format"]))
        self._local.check()
        verify_tls = checks_certificates(options, signs_in=not options["sas_url"])
        way = Way(waiter, verify_tls, options["bandwidth_limit"])
        with reported():
            self._finder = SourceFinder(options, way)
        self._progress = ProgressFile(None)

    def run(self, session: AzureSession | None) -> Outcome:
        """Download; `session` may be None for a blob with a SAS."""
        self._progress = ProgressFile(self._options["progress_file"])
        try:
            with interruptible(_INTERRUPTED), reported(_REMEDIES):
                return self._run(self._finder.find(session))
        finally:
            self._progress.close()

    def _run(self, source: Source) -> Outcome:
        local = self._local
        present = local.content(self._progress.reading) if local.exists() else None
        before = local.facts(*present) if present is not None else None
        if local.exists():
            if present is not None and self._is_download_of(source, present):
                return self._outcome(source, _Done(present, Fetched()), before, changed=False)
            if not self._options["force"]:
                raise InvalidInput(
                    f"path: {local.path} exists, and it is not known to be this disk.",
                    remedy="Give another path, or set force to true to replace the file.",
                )
            before = before or local.facts(None, None)
        source.check(resumed=is_journal_of(local.journal, self._subject(source)))
        if self._check_mode:
            return self._outcome(source, None, before, changed=True)
        return self._outcome(source, self._download(source), before, changed=True)

    def _subject(self, source: Source) -> dict[str, Any]:
        return {"source": source.identity, "format": self._local.format}

    def _is_download_of(self, source: Source, present: Content) -> bool:
        """Whether the file that is there has the source's content."""
        origin = self._local.origin()
        if {key: origin.get(key) for key in ("source", "format")} == self._subject(source):
            return bool(origin.get("content_sha256") == present.content_sha256)
        return source.content_sha256 == present.content_sha256

    def _download(self, source: Source) -> _Done:
        local = self._local
        fd = local.open_part()
        try:
            with source.opened() as opened:
                done = self._fetch(source, opened, fd)
            local.finish({**self._subject(source), "content_sha256": done.content.content_sha256})
        except BaseException:
            local.forget_useless_part()
            raise
        finally:
            os.close(fd)
        return done

    def _fetch(self, source: Source, opened: Opened, fd: int) -> _Done:
        blob = opened.open_blob(threading.Event())
        try:
            facts = blob.facts()
            if facts is None:
                raise NotFound(f"{source.name} is gone.", code="BlobNotFound")
            footer = read_footer(blob, source.name, facts.size, opened.etag)
            pieces = Pieces(blob.page_ranges(), facts.size - FOOTER_SIZE)
        finally:
            blob.close()
        writer = self._writer(fd, pieces, footer)
        # Whole blocks of the file system, which each range may need one more of.
        self._local.check_space(pieces.total + len(pieces.ranges) * BLOCK + writer.overhead)
        journal = DownloadJournal(self._local.journal, self._subject(source), pieces)
        try:
            if not journal.resumed:
                os.ftruncate(fd, 0)
            writer.prepare()
            limit = self._options["bandwidth_limit"]
            fetched = fetch(
                pieces,
                opened.open_blob,
                writer,
                journal,
                self._progress.receiving,
                connections=self._options["connections"],
                throttle=Throttle(limit) if limit else None,
                etag=opened.etag,
            )
            writer.sync()
            with open_written(self._local.part, self._local.format) as disk:
                plan = check_content(disk, pieces, journal, self._progress.checking)
        finally:
            journal.close()
        return _Done(Content(pieces.size, plan.content_sha256), fetched)

    def _writer(self, fd: int, pieces: Pieces, footer: bytes) -> DiskWriter:
        part = self._local.part
        if self._local.format == "vhd":
            return FixedVhdWriter(fd, part, pieces.size, footer)
        if self._local.format == "qcow2":
            return Qcow2Writer(fd, part, pieces.size, pieces.ranges)
        return DiskWriter(fd, part, pieces.size)

    def _outcome(
        self, source: Source, done: _Done | None, before: dict[str, Any] | None, *, changed: bool
    ) -> Outcome:
        local = self._local
        told = source.content_sha256
        after = local.facts(*done.content) if done else local.facts(source.virtual_size, told)
        fetched = done.fetched if done else Fetched()
        matches = None if told is None or done is None else told == done.content.content_sha256
        warnings = []
        if matches is False:
            warnings.append(
                f"{source.name} holds something else than was uploaded to it once, by its tags or metadata."
            )
        sentence = (
            f"{'Created' if before is None else 'Replaced'} {local.path} ({local.format}) from"
            f" {source.name[0].lower()}{source.name[1:]}."
        )
        return Outcome(
            changed=changed,
            result={
                "file": after,
                "source": source.facts(),
                "matches_upload": matches,
                "bytes_received": fetched.bytes_received,
                "bytes_checked": fetched.bytes_checked,
                "bytes_resumed": fetched.bytes_resumed,
                "requests": fetched.requests,
                "seconds": round(fetched.seconds, 3),
            },
            before=before,
            after=after,
            actions=[sentence] if changed else [],
            warnings=warnings,
        )
