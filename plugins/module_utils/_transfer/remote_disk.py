# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A disk file on another host, which gets a SAS for one disk or blob and no credential.

Every step is one run of the module disk_send there. What must last between them is in the journal on that
host; it is locked during each step and not in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import service_failure
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import Transfer
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source_disk import (
    SourceJournal,
    Way,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.sending import Planned
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.source_facts import SourceFacts

# What the service says of a SAS that has run out or was taken back.
_REFUSED = "AuthenticationFailed"
# How often in turn a new SAS is asked for although nothing has arrived by the last one.
_VAIN_RENEWALS = 2

#: Runs the module disk_send with these options on the host; returns its result, also of a failure.
RunStep = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class _StepFailedError(AzureError):
    """A step that the service refused. `arrived`: whether anything has arrived before."""

    arrived = False


class RemoteJournal:
    """A :class:`SourceJournal` on another host."""

    def __init__(self, disk: RemoteDisk, target: str, state: Mapping[str, Any]) -> None:
        self._disk = disk
        self.name = target
        self._upload: str | None = state.get("upload")
        self._target: dict[str, Any] = dict(state.get("target") or {})
        self._is_of_source = bool(state.get("is_of_source"))
        self.has_arrived = False

    @property
    def upload(self) -> str | None:
        """See SourceJournal."""
        return self._upload

    @property
    def target(self) -> dict[str, Any]:
        """See SourceJournal."""
        return self._target

    @property
    def is_of_source(self) -> bool:
        """See SourceJournal."""
        return self._is_of_source

    @property
    def arrived(self) -> bool:
        """See SourceJournal."""
        return self.has_arrived

    def begin(self, upload: str, target: dict[str, Any]) -> bool:
        """See SourceJournal."""
        begun = self._disk.step("begin", target=self.name, upload=upload, target_facts=target)
        self._upload, self._target, self._is_of_source = upload, target, True
        return bool(begun["writable"])

    def remove(self) -> None:
        """See SourceJournal; one that a host that is lost still has is removed by the next run."""
        with suppress(AzureError):
            self._disk.step("forget", target=self.name)


class RemoteDisk:
    """A :class:`SourceDisk` on another host.

    :param host: its name, for messages
    :param boots: whether a machine shall boot from the disk
    """

    is_here = False

    def __init__(
        self,
        host: str,
        run_step: RunStep,
        path: str,
        transfer: Transfer,
        *,
        allow_unpartitioned: bool = False,
        boots: bool = False,
    ) -> None:
        self._host = host
        self._run_step = run_step
        self._transfer = transfer
        self._common = {
            "path": path,
            "allow_unpartitioned": allow_unpartitioned,
            "journal_dir": transfer.journal_dir,
        }
        self.facts = SourceFacts(**self.step("look", boots=boots))

    def step(self, name: str, **options: Any) -> dict[str, Any]:
        """Have the host do one step; what it found. Its failures raise AzureError."""
        given = {key: value for key, value in {**self._common, **options}.items() if value is not None}
        result = self._run_step({"step": name, **given})
        if not result.get("failed") and "found" in result:
            return dict(result["found"])
        problem = result.get("problem") or {}
        message = str(result.get("msg") or "it gave no reason")
        if problem.get("kind") == "disk":
            raise InvalidInput(message)
        if problem.get("kind") != "service":
            raise AzureError(
                f"Host {self._host} could not do its part of the upload: {message}",
                remedy="It needs Python 3.6 or newer; see what Ansible says of the host with -vvv.",
            )
        if problem.get("status") is None and problem.get("code") is None:
            message = f"Host {self._host}: {message}"
        error = UploadError(message, problem.get("code"), problem.get("status"), problem.get("request_id"))
        failed = service_failure(error, _StepFailedError)
        failed.arrived = bool(problem.get("arrived"))
        raise failed

    @contextmanager
    def journal(self, target: str) -> Iterator[SourceJournal | None]:
        """See SourceDisk."""
        found = None
        if self._transfer.resume:
            state = self.step("journal", target=target, existing_only=self._transfer.check_mode)
            found = RemoteJournal(self, target, state) if state["writable"] else None
        yield found

    def forget(self, target: str) -> None:
        """See SourceDisk."""
        if self._transfer.resume and not self._transfer.check_mode:
            self.step("forget", target=target)

    def plan(self, journal: SourceJournal | None = None, way: Way | None = None) -> Planned:
        """See SourceDisk; the journal is believed."""
        del way
        target = journal.name if isinstance(journal, RemoteJournal) else None
        upload = journal.upload if journal is not None else None
        return _planned(self.step("plan", target=target, upload=upload, goes_on=upload is not None))

    def _sent_by(self, way: Way) -> dict[str, Any]:
        transfer = self._transfer
        return {
            "url": str(way.access.url),
            "sas": way.access.url.query,
            "lease": way.lease,
            "connections": transfer.connections,
            "bandwidth_limit": transfer.bandwidth_limit,
            "verify_tls": transfer.verify_tls,
        }

    def send(self, way: Way, journal: SourceJournal | None, *, goes_on: bool) -> tuple[Planned, Sent]:
        """See SourceDisk. A SAS that has run out is renewed, and the host goes on from its journal."""
        vain = 0
        while True:
            url = way.access.url
            try:
                return self._send(way, journal, goes_on=goes_on)
            except _StepFailedError as error:
                if isinstance(journal, RemoteJournal):
                    journal.has_arrived = journal.has_arrived or error.arrived
                vain = 0 if error.arrived and not goes_on else vain + 1
                if error.code != _REFUSED or vain > _VAIN_RENEWALS or way.access.renew(url) is None:
                    raise
                goes_on = True
            except InvalidInput:
                raise
            except BaseException:
                # Lost on the way: nobody has told how far it came.
                if isinstance(journal, RemoteJournal):
                    journal.has_arrived = True
                raise

    def _send(self, way: Way, journal: SourceJournal | None, *, goes_on: bool) -> tuple[Planned, Sent]:
        found = self.step(
            "send",
            target=journal.name if isinstance(journal, RemoteJournal) else "",
            upload=journal.upload if journal is not None else None,
            goes_on=goes_on,
            verify=self._transfer.verify,
            **self._sent_by(way),
        )
        return _planned(found), Sent(*(found[name] for name in Sent._fields))

    def verify(self, way: Way, *, content: bool) -> None:
        """See SourceDisk; the disk is read once more for that."""
        self.step("verify", verify="full" if content else "ranges", **self._sent_by(way))


def _planned(found: Mapping[str, Any]) -> Planned:
    return Planned(*(found[name] for name in Planned._fields))
