# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The module disk_upload's work: its options, checked before Azure is asked anything, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.architecture import architecture_for
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import (
    BlobRequest,
    find_target,
    sas_target,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.common_options import (
    check_pace,
    checks_certificates,
    waiter_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_request import DiskRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.interruption import interruptible
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.managed_disk import (
    ManagedDiskUpload,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.page_blob_upload import (
    PageBlobUpload,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.remote_disk import (
    RemoteDisk,
    RunStep,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    Transfer,
    Uploaded,
    check_system,
    generation_for,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source_disk import (
    LocalDisk,
    SourceDisk,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.limits import (
    check_managed_disk_size,
    check_page_blob_size,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.progress_file import ProgressFile

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_DISK_OPTIONS = (
    "sku",
    "zone",
    "os_type",
    "hyper_v_generation",
    "architecture",
    "disk_encryption_set",
    "security_type",
)


class UploadJob:
    """One run of the module; a context manager that closes the file.

    Making one opens the file and checks everything that needs no request; bad input raises InvalidInput.

    :param host: name of the host that has the disk, where that is another one
    :param run_step: has that host do a part of the upload
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        check_mode: bool,
        host: str = "",
        run_step: RunStep | None = None,
    ) -> None:
        self._options = options
        self._transfer = _transfer(options, check_mode)
        self._waiter = waiter_of(options)
        # A remote host's progress is in a file of its own.
        self._progress = ProgressFile(options["progress_file"] if run_step is None else None)
        self._opened = ExitStack()
        self._opened.callback(self._progress.close)
        try:
            self._source = self._open(host, run_step)
            self._disk = self._disk_request() if options["disk_name"] else None
            self._blob = None if self._disk else self._blob_request()
        except BaseException:
            self._opened.close()
            raise

    def _open(self, host: str, run_step: RunStep | None) -> SourceDisk:
        options, boots = self._options, bool(self._options["os_type"])
        path, unpartitioned = options["path"], options["allow_unpartitioned"]
        if run_step is not None:
            return RemoteDisk(
                host, run_step, path, self._transfer, allow_unpartitioned=unpartitioned, boots=boots
            )
        with reported():
            reader = open_disk(path, unpartitioned)
        self._opened.callback(reader.close)
        return LocalDisk(reader, self._transfer, self._progress, boots=boots)

    def __enter__(self) -> UploadJob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def _disk_request(self) -> DiskRequest:
        options = self._options
        disk = self._source.facts
        check_system(disk, options["os_type"])
        generation = generation_for(disk, options["os_type"], options["hyper_v_generation"])
        with reported():
            check_managed_disk_size(options["path"], disk.virtual_size, generation)
        architecture = architecture_for(disk, options["os_type"], options["architecture"])
        request = DiskRequest(
            resource_group=options["resource_group"],
            name=options["disk_name"],
            location=options["location"] or None,
            sku=options["sku"],
            zone=options["zone"],
            os_type=options["os_type"],
            generation=generation,
            architecture=architecture,
            disk_encryption_set=options["disk_encryption_set"] or None,
            security_type=options["security_type"],
            tags=options["tags"],
            append_tags=options["append_tags"],
        )
        request.check()
        return request

    def _blob_request(self) -> BlobRequest:
        options = self._options
        meaningless = [name for name in _DISK_OPTIONS if options[name]]
        if meaningless:
            raise InvalidInput(
                f"{', '.join(meaningless)}: only a managed disk has that, a blob does not.",
                remedy="Set disk_name to upload into a managed disk, or leave it out.",
            )
        request = BlobRequest.of(options, options["resource_group"])
        with reported():
            check_page_blob_size(options["path"], self._source.facts.virtual_size)
            request.check()
            if request.sas_url:
                sas_target(request)
        return request

    def run(self, session: AzureSession | None) -> Outcome:
        """Upload; `session` may be None for a target with a SAS of its own."""
        with interruptible():
            done = self._upload(session)
        return Outcome(
            changed=done.changed,
            result=self._result(done),
            before=done.before,
            after=done.after,
            actions=done.actions,
            warnings=done.warnings,
        )

    def _upload(self, session: AzureSession | None) -> Uploaded:
        if self._disk is not None and session is not None:
            return ManagedDiskUpload(
                session, self._source, self._disk, self._transfer, waiter=self._waiter
            ).run()
        if self._blob is None:
            raise ValueError("a managed disk needs a session")
        if session is None:
            target = sas_target(self._blob)
        else:
            target = find_target(session, self._blob, self._waiter, verify_tls=self._transfer.verify_tls)
        return PageBlobUpload(self._source, target, self._transfer).run()

    def _result(self, done: Uploaded) -> dict[str, Any]:
        plan, sent = done.plan, done.sent
        return {
            "disk" if self._disk else "blob": done.facts,
            "format": self._source.facts.format,
            "virtual_size": plan.virtual_size,
            "content_sha256": plan.content_sha256,
            "bytes_read": plan.bytes_read,
            "bytes_planned": plan.bytes_to_send,
            "puts_planned": plan.puts,
            "bytes_sent": sent.bytes_sent,
            "bytes_resumed": plan.bytes_held,
            "puts": sent.puts,
            "seconds": round(sent.seconds, 3),
        }


def _transfer(options: Mapping[str, Any], check_mode: bool) -> Transfer:
    check_pace(options)
    return Transfer(
        connections=options["connections"],
        verify=options["verify"],
        force=options["force"],
        check_mode=check_mode,
        verify_tls=checks_certificates(options, signs_in=not options["sas_url"]),
        resume=options["resume"],
        journal_dir=options["journal_dir"] or None,
        bandwidth_limit=options["bandwidth_limit"],
    )
