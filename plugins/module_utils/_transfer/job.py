# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The module disk_upload's work: its options, checked before Azure is asked anything, and its outcome."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.architecture import architecture_for
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import (
    BlobRequest,
    find_target,
    sas_target,
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
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.progress import ProgressFile
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    Transfer,
    Uploaded,
    generation_for,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.limits import (
    check_managed_disk_size,
    check_page_blob_size,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# Each needs 4 MiB of memory; more than this would not make one disk faster.
_MOST_CONNECTIONS = 16
# A request of 4 MiB has to end within the service's time for one.
_LEAST_BANDWIDTH = 100_000
_DISK_OPTIONS = (
    "sku",
    "zone",
    "os_type",
    "hyper_v_generation",
    "architecture",
    "disk_encryption_set",
)


class UploadJob:
    """One run of the module; a context manager that closes the file.

    Making one opens the file and checks everything that needs no request; bad input raises InvalidInput.
    """

    def __init__(self, options: Mapping[str, Any], *, check_mode: bool) -> None:
        self._options = options
        self._transfer = _transfer(options, check_mode)
        if options["wait_timeout"] < 1:
            raise InvalidInput(
                f"wait_timeout is {options['wait_timeout']}; it is a number of seconds above 0."
            )
        self._waiter = Waiter(wait=True, timeout=options["wait_timeout"])
        with reported():
            self._reader = open_disk(options["path"], options["allow_unpartitioned"])
        try:
            self._disk = self._disk_request() if options["disk_name"] else None
            self._blob = None if self._disk else self._blob_request()
        except BaseException:
            self._reader.close()
            raise

    def __enter__(self) -> UploadJob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def _disk_request(self) -> DiskRequest:
        options = self._options
        generation = generation_for(self._reader, options["os_type"], options["hyper_v_generation"])
        with reported():
            check_managed_disk_size(options["path"], self._reader.virtual_size, generation)
            architecture = architecture_for(self._reader, options["os_type"], options["architecture"])
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
        request = BlobRequest(
            storage_account=options["storage_account"],
            container=options["container"],
            blob=options["blob"],
            resource_group=options["resource_group"] or None,
            auth_mode=options["auth_mode"],
            sas_url=options["sas_url"],
        )
        with reported():
            check_page_blob_size(options["path"], self._reader.virtual_size)
            request.check()
            if request.sas_url:
                sas_target(request)
        return request

    def run(self, session: AzureSession | None) -> Outcome:
        """Upload; `session` may be None for a target with a SAS of its own."""
        progress = ProgressFile(self._options["progress_file"])
        try:
            with interruptible():
                done = self._upload(session, progress)
        finally:
            progress.close()
        return Outcome(
            changed=done.changed,
            result=self._result(done),
            before=done.before,
            after=done.after,
            actions=done.actions,
            warnings=done.warnings,
        )

    def _upload(self, session: AzureSession | None, progress: ProgressFile) -> Uploaded:
        if self._disk is not None and session is not None:
            return ManagedDiskUpload(
                session, self._reader, self._disk, self._transfer, waiter=self._waiter, progress=progress
            ).run()
        if self._blob is None:
            raise ValueError("a managed disk needs a session")
        target = sas_target(self._blob) if session is None else find_target(session, self._blob, self._waiter)
        return PageBlobUpload(self._reader, target, self._transfer, progress=progress).run()

    def _result(self, done: Uploaded) -> dict[str, Any]:
        plan, sent = done.plan, done.sent
        return {
            "disk" if self._disk else "blob": done.facts,
            "format": self._reader.format,
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


def check_pace(connections: int, bandwidth_limit: int | None) -> None:
    """Refuse numbers that make no sense; raises InvalidInput."""
    if not 1 <= connections <= _MOST_CONNECTIONS:
        raise InvalidInput(
            f"connections is {connections}.", remedy=f"It is a number from 1 to {_MOST_CONNECTIONS}."
        )
    if bandwidth_limit is not None and bandwidth_limit < _LEAST_BANDWIDTH:
        raise InvalidInput(
            f"bandwidth_limit is {bandwidth_limit} bytes per second.",
            remedy=f"It is at least {_LEAST_BANDWIDTH}.",
        )


def _transfer(options: Mapping[str, Any], check_mode: bool) -> Transfer:
    connections, limit = options["connections"], options["bandwidth_limit"]
    check_pace(connections, limit)
    validation = options.get("cert_validation_mode") or os.environ.get("AZURE_CERT_VALIDATION_MODE")
    return Transfer(
        connections=connections,
        verify=options["verify"],
        force=options["force"],
        check_mode=check_mode,
        verify_tls=validation != "ignore",
        resume=options["resume"],
        journal_dir=options["journal_dir"] or None,
        bandwidth_limit=limit,
    )
