# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The module disk_download's work, from its options to the finished file."""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    FIXED,
    FOOTER_SIZE,
    FooterError,
    parse_footer,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers import (
    DiskWriter,
    FixedVhdWriter,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers_qcow2 import Qcow2Writer
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_engine import (
    Fetched,
    Piece,
    fetch,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_file import (
    Content,
    LocalFile,
    content_of,
    format_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_journal import (
    Arrived,
    DownloadJournal,
    read_subject,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_source import (
    Opened,
    Source,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_sources import SourceFinder
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.interruption import interruptible
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.checksum import md5
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import pieces_of
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Ranges

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_MOST_CONNECTIONS = 16
_INTERRUPTED = "The download was interrupted; the next run goes on with what has arrived."


class _Done(NamedTuple):
    content: Content
    fetched: Fetched
    bytes_resumed: int


class DownloadJob:
    """One run of the module. Making one checks everything that needs no request; raises InvalidInput."""

    def __init__(self, options: Mapping[str, Any], *, check_mode: bool) -> None:
        self._options = options
        self._check_mode = check_mode
        if not 1 <= options["connections"] <= _MOST_CONNECTIONS:
            raise InvalidInput(
                f"connections is {options['connections']}.",
                remedy=f"It is a number from 1 to {_MOST_CONNECTIONS}.",
            )
        if options["wait_timeout"] < 1:
            raise InvalidInput(
                f"wait_timeout is {options['wait_timeout']}; it is a number of seconds above 0."
            )
        self._local = LocalFile(options["path"], format_of(options["path"], options["format"]))
        self._local.check()
        validation = options.get("cert_validation_mode") or os.environ.get("AZURE_CERT_VALIDATION_MODE")
        waiter = Waiter(wait=True, timeout=options["wait_timeout"])
        with reported():
            self._finder = SourceFinder(options, waiter, verify_tls=validation != "ignore")

    def run(self, session: AzureSession | None) -> Outcome:
        """Download; `session` may be None for a blob with a SAS."""
        with interruptible(_INTERRUPTED), reported():
            return self._run(self._finder.find(session))

    def _run(self, source: Source) -> Outcome:
        local = self._local
        present = local.content() if local.exists() else None
        before = local.facts(*present) if present is not None else None
        if local.exists():
            if present is not None and self._is_download_of(source, present):
                return self._outcome(source, _Done(present, Fetched(0, 0, 0.0), 0), before, changed=False)
            if not self._options["force"]:
                raise InvalidInput(
                    f"path: {local.path} exists, and it is not known to be this disk.",
                    remedy="Give another path, or set force to true to replace the file.",
                )
            before = before or local.facts(None, None)
        resumed = (read_subject(local.journal) or {}).get("source") == source.identity
        source.check(resumed=resumed)
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
            os.fsync(fd)
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
            size = facts.size - FOOTER_SIZE if facts is not None else 0
            footer = blob.fetch(size, FOOTER_SIZE, opened.etag)[0] if size > 0 else b""
            _check_footer(source, footer, size)
            ranges = Ranges((start, min(end, size)) for start, end in blob.page_ranges() if start < size)
        finally:
            blob.close()
        writer = self._writer(fd, size, footer, ranges)
        journal = DownloadJournal(
            self._local.journal, {**self._subject(source), "ranges": _digest_of(ranges, size)}
        )
        held = self._held(writer, journal.arrived(), ranges)
        if not held:
            os.ftruncate(fd, 0)
        missing = [piece for piece in pieces_of(ranges) if piece not in held]
        self._local.check_space(sum(length for _offset, length in missing))
        writer.prepare()
        journal.begin(Arrived(*piece, check) for piece, check in held.items())
        try:
            fetched = fetch(
                missing,
                opened.open_blob,
                writer,
                fd,
                journal,
                connections=max(1, min(self._options["connections"], len(missing))),
                etag=opened.etag,
            )
        finally:
            journal.close()
        content = content_of(self._local.part, self._local.format)
        if content.virtual_size != size:
            raise AzureError(f"{self._local.part}: has {content.virtual_size} bytes, not {size}.")
        return _Done(content, fetched, sum(length for _offset, length in held))

    def _writer(self, fd: int, size: int, footer: bytes, ranges: Ranges) -> DiskWriter:
        part = self._local.part
        if self._local.format == "vhd":
            return FixedVhdWriter(fd, part, size, footer)
        return (
            Qcow2Writer(fd, part, size, ranges)
            if self._local.format == "qcow2"
            else DiskWriter(fd, part, size)
        )

    @staticmethod
    def _held(writer: DiskWriter, arrived: list[Arrived], ranges: Ranges) -> dict[Piece, str]:
        """The pieces of an earlier run that the partial file has, by its own content."""
        wanted = set(pieces_of(ranges)) if arrived else set()
        return {
            (piece.offset, piece.length): piece.md5
            for piece in arrived
            if (piece.offset, piece.length) in wanted
            and md5(writer.read(piece.offset, piece.length)).hex() == piece.md5
        }

    def _outcome(
        self, source: Source, done: _Done | None, before: dict[str, Any] | None, *, changed: bool
    ) -> Outcome:
        local = self._local
        told = source.content_sha256
        after = local.facts(*done.content) if done else local.facts(None, told)
        fetched = done.fetched if done else Fetched(0, 0, 0.0)
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
                "bytes_resumed": done.bytes_resumed if done else 0,
                "requests": fetched.requests,
                "seconds": round(fetched.seconds, 3),
            },
            before=before,
            after=after,
            actions=[sentence] if changed else [],
            warnings=warnings,
        )


def _check_footer(source: Source, footer: bytes, size: int) -> None:
    """Refuse what is no fixed VHD; raises InvalidInput."""
    try:
        found = parse_footer(footer)
    except FooterError as error:
        raise InvalidInput(f"{source.name} holds no VHD: {error}.") from None
    if found.disk_type != FIXED or found.current_size != size:
        raise InvalidInput(
            f"{source.name} holds no sound fixed VHD: its footer is of type {found.disk_type} for"
            f" {found.current_size} bytes, but {size} bytes stand before it."
        )


def _digest_of(ranges: Ranges, size: int) -> str:
    made = hashlib.sha256(struct.pack(">Q", size))
    for start, end in ranges:
        made.update(struct.pack(">QQ", start, end))
    return made.hexdigest()
